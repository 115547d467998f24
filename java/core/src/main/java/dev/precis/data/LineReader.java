package dev.precis.data;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Reads lines of UTF-8 that end in {@code \n} or {@code \r\n} and are not endless. A byte order
 * mark at the start is left out. After a bad line, the next one can be read.
 */
final class LineReader implements Closeable {
  static final int MAX_CHARACTERS = 8 * Row.MAX_CHARACTERS;
  private static final int MAX_BYTES = 3 * MAX_CHARACTERS;

  private final InputStream in;
  private final String name;
  private final byte[] buffer = new byte[1 << 14];
  private byte[] line = new byte[1 << 10];
  private int at;
  private int end;
  private long number;

  LineReader(InputStream in, String name) {
    this.in = in;
    this.name = name;
  }

  /** Returns the number of the line that {@link #next} returned, from 1. */
  long number() {
    return number;
  }

  /**
   * Returns the next line without its end, or {@code null} after the last one.
   *
   * @throws BadRowException if the line is too long or not UTF-8
   */
  String next() throws IOException {
    number++;
    int length = 0; // of the whole line, of which MAX_BYTES at most are kept
    boolean any = false;
    boolean ended = false;
    while (!ended) {
      if (at == end) {
        at = 0;
        end = Math.max(in.read(buffer), 0);
        if (end == 0) {
          if (!any) {
            return null;
          }
          break;
        }
      }
      any = true;
      int start = at;
      while (at < end && buffer[at] != '\n') {
        at++;
      }
      length = append(length, start, at - start);
      if (at < end) {
        at++;
        ended = true;
      }
    }
    return text(length, ended);
  }

  private int append(int length, int start, int count) {
    if (length > MAX_BYTES - count) {
      return MAX_BYTES + 1; // too long; the rest of the line is passed over
    }
    if (length + count > line.length) {
      line = Arrays.copyOf(line, Math.min(MAX_BYTES, Math.max(length + count, 2 * line.length)));
    }
    System.arraycopy(buffer, start, line, length, count);
    return length + count;
  }

  private String text(int length, boolean ended) {
    if (length > MAX_BYTES) {
      throw tooLong();
    }
    int from =
        number == 1 && length >= 3 && Arrays.equals(line, 0, 3, Utf8Stream.MARK, 0, 3) ? 3 : 0;
    Utf8Check check = new Utf8Check(name, number);
    for (int i = from; i < length; i++) {
      check.next(line[i] & 0xFF);
    }
    if (ended) {
      check.next('\n'); // a character that is cut off by the end of its line
    } else {
      check.end();
    }
    int to = length > from && line[length - 1] == '\r' ? length - 1 : length;
    String text = new String(line, from, to - from, StandardCharsets.UTF_8);
    if (text.length() > MAX_CHARACTERS) {
      throw tooLong();
    }
    return text;
  }

  private BadRowException tooLong() {
    return BadRowException.unreadable(
        "%s, line %d is longer than %d characters; each line must hold one object"
            .formatted(name, number, MAX_CHARACTERS));
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
