package dev.precis.io;

/**
 * Makes names from files fit for a message: a terminal would obey the control characters in them.
 */
public final class Printable {
  private static final int SHOWN = 60;

  private Printable() {}

  /** Returns a name with control characters escaped, cut after {@value #SHOWN} characters. */
  public static String of(String name) {
    StringBuilder shown = new StringBuilder();
    int length = 0;
    for (int at = 0; at < name.length(); length++) {
      if (length == SHOWN) {
        return shown + "...";
      }
      int c = name.codePointAt(at);
      at += Character.charCount(c);
      int type = Character.getType(c);
      if (Character.isISOControl(c)
          || type == Character.FORMAT
          || type == Character.SURROGATE
          || type == Character.LINE_SEPARATOR
          || type == Character.PARAGRAPH_SEPARATOR) {
        shown.append("\\u%04x".formatted(c));
      } else {
        shown.appendCodePoint(c);
      }
    }
    return shown.toString();
  }
}
