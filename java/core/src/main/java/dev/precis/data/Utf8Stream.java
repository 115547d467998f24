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
  private static final byte[] MARK = {(byte) 0xEF, (byte) 0xBB, (byte) 0xBF};

  private final InputStream in;
  private final String name;
  private byte[] start; // what was read in search of the mark
  private int startAt;
  private long line = 1;
  private long column; // bytes of the line before this one
  private int missing; // continuation bytes that must follow
  private int low = 0x80; // the range of the next one
  private int high = 0xBF;

  Utf8Stream(InputStream in, String name) {
    this.in = in;
    this.name = name;
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
    if (count < 0 && missing > 0) {
      throw new InvalidInputException(
          "%s, line %d ends in the middle of a UTF-8 character; the file is cut off"
              .formatted(name, line));
    }
    for (int i = 0; i < count; i++) {
      check(buffer[offset + i] & 0xFF);
    }
    return count;
  }

  /** Checks a byte against the well-formed sequences of the Unicode standard, table 3-7. */
  private void check(int b) {
    column++;
    if (missing > 0) {
      if (b < low || b > high) {
        throw invalid(b);
      }
      missing--;
      low = 0x80;
      high = 0xBF;
    } else if (b == '\n') {
      line++;
      column = 0;
    } else if (b >= 0x80) {
      if (b < 0xC2 || b > 0xF4) {
        throw invalid(b);
      }
      missing = b < 0xE0 ? 1 : b < 0xF0 ? 2 : 3;
      low = b == 0xE0 ? 0xA0 : b == 0xF0 ? 0x90 : 0x80;
      high = b == 0xED ? 0x9F : b == 0xF4 ? 0x8F : 0xBF;
    }
  }

  private InvalidInputException invalid(int b) {
    boolean utf16 = line == 1 && column <= 2 && b >= 0xFE;
    return new InvalidInputException(
        "%s, line %d is not UTF-8: byte %d of the line is 0x%02X%s; save the file as UTF-8"
            .formatted(name, line, column, b, utf16 ? ", as in a UTF-16 file" : ""));
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
