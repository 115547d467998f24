package dev.precis.data;

import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;

/** Reads lines that end in {@code \n} or {@code \r\n} and are not endless. */
final class LineReader {
  static final int MAX_CHARACTERS = 8 * Row.MAX_CHARACTERS;

  private final Reader in;
  private final String name;
  private final char[] buffer = new char[1 << 14];
  private int at;
  private int end;
  private long number;

  LineReader(InputStream in, String name) {
    this.in = new InputStreamReader(in, StandardCharsets.UTF_8);
    this.name = name;
  }

  /** Returns the number of the line that {@link #next} returned, from 1. */
  long number() {
    return number;
  }

  /** Returns the next line without its end, or {@code null} after the last one. */
  String next() throws IOException {
    StringBuilder line = new StringBuilder();
    number++;
    boolean any = false;
    while (true) {
      if (at == end) {
        at = 0;
        end = Math.max(in.read(buffer), 0);
        if (end == 0) {
          return any ? line.toString() : null;
        }
      }
      any = true;
      int start = at;
      while (at < end && buffer[at] != '\n') {
        at++;
      }
      line.append(buffer, start, at - start);
      if (line.length() > MAX_CHARACTERS) {
        throw new InvalidInputException(
            "%s, line %d is longer than %d characters; each line must hold one object"
                .formatted(name, number, MAX_CHARACTERS));
      }
      if (at < end) {
        at++;
        int length = line.length();
        return line.substring(
            0, length > 0 && line.charAt(length - 1) == '\r' ? length - 1 : length);
      }
    }
  }
}
