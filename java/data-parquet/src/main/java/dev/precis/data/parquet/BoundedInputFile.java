package dev.precis.data.parquet;

import dev.hardwood.InputFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A file that ends the reading of a damaged Parquet file. A page header with a wrong length makes
 * the reader ask for ranges that are empty, outside, or the same for ever, which it would wait for.
 */
final class BoundedInputFile implements InputFile {
  /** Footers and page headers are read more than once, nothing is read this often. */
  private static final int MOST_READS_OF_A_BYTE = 16;

  private static final long SMALL_READS = 1 << 20;

  private final InputFile file;
  private final AtomicLong bytesLeft = new AtomicLong();

  BoundedInputFile(InputFile file) {
    this.file = file;
  }

  @Override
  public void open() throws IOException {
    file.open();
    bytesLeft.set(MOST_READS_OF_A_BYTE * file.length() + SMALL_READS);
  }

  @Override
  public ByteBuffer readRange(long offset, int length) throws IOException {
    if (offset < 0
        || length <= 0
        || offset > file.length() - length
        || bytesLeft.addAndGet(-length) < 0) {
      throw new IOException("a page's length is wrong");
    }
    return file.readRange(offset, length);
  }

  @Override
  public long length() throws IOException {
    return file.length();
  }

  @Override
  public String name() {
    return file.name();
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
