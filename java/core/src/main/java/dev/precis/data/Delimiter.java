package dev.precis.data;

import java.io.IOException;
import java.io.PushbackReader;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** Finds what separates the columns of a file: spreadsheets write semicolons in half of Europe. */
final class Delimiter {
  /** The longest header that is looked at, in characters. */
  static final int MAX_HEADER = 1 << 16;

  private static final char[] CANDIDATES = {',', ';', '\t'};

  private Delimiter() {}

  /**
   * Returns the delimiter, and leaves the reader at the header.
   *
   * @param in can take back {@link #MAX_HEADER} characters
   * @param known tells the columns that are read
   */
  static char find(PushbackReader in, Predicate<String> known) throws IOException {
    String header = header(in);
    if (header.startsWith("sep=") && header.strip().length() == 5) {
      return header.charAt(4); // Excel's own hint, a line that is not part of the table
    }
    in.unread(header.toCharArray());
    char several = 0;
    for (char each : CANDIDATES) {
      List<String> columns = split(header, each);
      if (columns.stream().anyMatch(known)) {
        return each;
      }
      several = several == 0 && columns.size() > 1 ? each : several;
    }
    return several == 0 ? ',' : several;
  }

  /** Reads up to the first line end that is not quoted. */
  private static String header(PushbackReader in) throws IOException {
    StringBuilder header = new StringBuilder();
    boolean quoted = false;
    while (header.length() < MAX_HEADER) {
      int c = in.read();
      if (c < 0) {
        break;
      }
      header.append((char) c);
      quoted ^= c == '"';
      if (c == '\n' && !quoted && !header.toString().isBlank()) {
        break;
      }
    }
    return header.toString();
  }

  private static List<String> split(String header, char delimiter) {
    List<String> columns = new ArrayList<>();
    StringBuilder column = new StringBuilder();
    boolean quoted = false;
    for (char c : header.toCharArray()) {
      quoted ^= c == '"';
      if (c == delimiter && !quoted) {
        columns.add(column.toString().strip());
        column.setLength(0);
      } else if (c != '"') {
        column.append(c);
      }
    }
    columns.add(column.toString().strip());
    return columns;
  }
}
