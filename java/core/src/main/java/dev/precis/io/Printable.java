package dev.precis.io;

/**
 * Makes text from files fit for a message or a terminal, which would obey the control characters in
 * it: they become visible escapes, as Java and JSON spell them.
 */
public final class Printable {
  private static final int SHOWN = 60;

  private Printable() {}

  /**
   * Returns true for a character that moves a cursor, turns text round, or is not seen: control and
   * format characters, halves of surrogate pairs, separators of lines, fillers of Hangul.
   */
  public static boolean hidden(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR ->
          true;
      // Fillers of Hangul and the like are letters that nobody sees.
      default -> c == 0x115f || c == 0x1160 || c == 0x3164 || c == 0xffa0;
    };
  }

  /** Appends a character, escaped if it is {@link #hidden}. */
  public static void append(StringBuilder text, int c) {
    if (!hidden(c)) {
      text.appendCodePoint(c);
      return;
    }
    for (char unit : Character.toChars(c)) {
      text.append("\\u%04x".formatted((int) unit));
    }
  }

  /** Returns a whole text on one line, with hidden characters escaped. */
  public static String line(String text) {
    if (text.codePoints().noneMatch(Printable::hidden)) {
      return text;
    }
    StringBuilder shown = new StringBuilder(text.length() + 16);
    text.codePoints().forEach(c -> append(shown, c));
    return shown.toString();
  }

  /** Returns a name with hidden characters escaped, cut after {@value #SHOWN} characters. */
  public static String of(String name) {
    if (name.codePointCount(0, name.length()) <= SHOWN) {
      return line(name);
    }
    return line(name.substring(0, name.offsetByCodePoints(0, SHOWN))) + "...";
  }
}
