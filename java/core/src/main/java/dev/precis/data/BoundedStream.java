package dev.precis.data;

import dev.precis.io.InvalidInputException;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;

/**
 * Ends the reading of a compressed file that decompresses to far more than texts do: a few
 * kilobytes could otherwise fill memory.
 */
final class BoundedStream extends InputStream {
  /** Texts compress to a third or a tenth; a log of one line over and over to a thousandth. */
  static final long MOST_BYTES_PER_BYTE = 200;

  static final long ALWAYS_ALLOWED = 1 << 26;

  /** Counts the compressed bytes. */
  static final class Counted extends FilterInputStream {
    private long count;

    Counted(InputStream in) {
      super(in);
    }

    @Override
    public int read() throws IOException {
      int b = super.read();
      count += b < 0 ? 0 : 1;
      return b;
    }

    @Override
    public int read(byte[] buffer, int offset, int length) throws IOException {
      int read = super.read(buffer, offset, length);
      count += Math.max(0, read);
      return read;
    }
  }

  private final InputStream decompressed;
  private final Counted compressed;
  private final String name;
  private long count;

  BoundedStream(InputStream decompressed, Counted compressed, String name) {
    this.decompressed = decompressed;
    this.compressed = compressed;
    this.name = name;
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
  }

  @Override
  public int read(byte[] buffer, int offset, int length) throws IOException {
    int read;
    try {
      read = decompressed.read(buffer, offset, length);
    } catch (IOException e) {
      throw new InvalidInputException(
          name + " cannot be decompressed: it is damaged or cut off", e);
    }
    count += Math.max(0, read);
    if (count > ALWAYS_ALLOWED && count / MOST_BYTES_PER_BYTE > compressed.count) {
      throw new InvalidInputException(
          "%s decompresses to more than %d times its size; decompress it yourself if you trust it"
              .formatted(name, MOST_BYTES_PER_BYTE));
    }
    return read;
  }

  @Override
  public void close() throws IOException {
    decompressed.close();
  }
}
