package dev.precis.data;

/** Checks bytes against the well-formed sequences of UTF-8 (Unicode standard, table 3-7). */
final class Utf8Check {
  private final String name;
  private long line;
  private long column; // bytes of the line before this one
  private int missing; // continuation bytes that must follow
  private int low = 0x80; // the range of the next one
  private int high = 0xBF;

  /**
   * Makes a check of a file, or of a line in it.
   *
   * @param line number of the first line
   */
  Utf8Check(String name, long line) {
    this.name = name;
    this.line = line;
  }

  /**
   * Checks the next byte.
   *
   * @throws BadRowException if it cannot follow the ones before
   */
  void next(int b) {
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

  /**
   * Checks that nothing is missing.
   *
   * @throws BadRowException if the last character is not complete
   */
  void end() {
    if (missing > 0) {
      throw BadRowException.unreadable(
          "%s, line %d ends in the middle of a UTF-8 character; the file is cut off"
              .formatted(name, line));
    }
  }

  private BadRowException invalid(int b) {
    boolean utf16 = line == 1 && column <= 2 && b >= 0xFE;
    return BadRowException.unreadable(
        "%s, line %d is not UTF-8: byte %d of the line is 0x%02X%s; save the file as UTF-8"
            .formatted(name, line, column, b, utf16 ? ", as in a UTF-16 file" : ""));
  }
}
