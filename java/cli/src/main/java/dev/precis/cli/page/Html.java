package dev.precis.cli.page;

import dev.precis.io.Printable;

/** Escapes text from outside, so that a page shows it and obeys nothing in it. */
public final class Html {
  private static final int ZERO_WIDTH_NON_JOINER = 0x200c;
  private static final int ZERO_WIDTH_JOINER = 0x200d;

  private Html() {}

  /**
   * Returns a text as HTML, for an element or a quoted attribute. Tags and entities in it are
   * shown, and so are control characters and those that turn text round, as Java spells them; line
   * breaks, tabs and the joiners of scripts and emoji stay.
   */
  public static String text(String text) {
    StringBuilder html = new StringBuilder(text.length() + 16);
    text.replace("\r\n", "\n").codePoints().forEach(c -> append(html, c));
    return html.toString();
  }

  private static void append(StringBuilder html, int c) {
    switch (c) {
      case '&' -> html.append("&amp;");
      case '<' -> html.append("&lt;");
      case '>' -> html.append("&gt;");
      case '"' -> html.append("&quot;");
      case '\'' -> html.append("&#39;");
      case '\n', '\t', ZERO_WIDTH_NON_JOINER, ZERO_WIDTH_JOINER -> html.appendCodePoint(c);
      default -> Printable.append(html, c);
    }
  }
}
