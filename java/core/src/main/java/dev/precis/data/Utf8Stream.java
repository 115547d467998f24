package dev.precis.data;

import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/**
 * Passes UTF-8 on and nothing else: a byte that cannot be is an error that names its line, which a
 * decoder behind this could not tell. A byte order mark at the start is left out.
 */
final class Utf8Stream extends InputStream {
  static final byte[] MARK = {(byte) 0xEF, (byte) 0xBB, (byte) 0xBF};

  private final InputStream in;
  private final Utf8Check check;
  private byte[] start; // what was read in search of the mark
  private int startAt;

  Utf8Stream(InputStream in, String name) {
    this.in = in;
    check = new Utf8Check(name, 1);
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
  }

  @Override
  public int read(byte[] buffer, int offset, int length) throws IOException {
    if (length == 0) {
      return 0;
    }
    if (start == null) {
      start = in.readNBytes(MARK.length);
      startAt = Arrays.equals(start, MARK) ? MARK.length : 0;
    }
    int count;
    if (startAt < start.length) {
      count = Math.min(length, start.length - startAt);
      System.arraycopy(start, startAt, buffer, offset, count);
      startAt += count;
    } else {
      count = in.read(buffer, offset, length);
    }
    try {
      if (count < 0) {
        check.end();
      }
      for (int i = 0; i < count; i++) {
        check.next(buffer[offset + i] & 0xFF);
      }
    } catch (BadRowException e) {
      // Whoever reads a stream as a whole cannot go on behind the byte.
      throw new InvalidInputException(e.getMessage(), e);
    }
    return count;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
