package dev.precis.cli.common;

import dev.precis.io.Printable;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * Makes text from files harmless to a terminal: control characters, which move the cursor or rename
 * the window, and format characters, which turn text round or hide it, become visible escapes.
 */
public final class SafeText {
  private SafeText() {}

  /** Escapes all but line breaks and tabs, as Java and JSON spell it. */
  public static String escape(String text) {
    return escape(text, true);
  }

  /** Escapes line breaks and tabs too, for what must stay one line. */
  public static String line(String text) {
    return escape(text, false);
  }

  private static String escape(String text, boolean keepsLines) {
    int at = 0;
    while (at < text.length() && harmless(text.charAt(at), keepsLines)) {
      at++;
    }
    if (at == text.length()) {
      return text;
    }
    StringBuilder safe = new StringBuilder(text.length() + 16);
    text.codePoints()
        .forEach(
            c -> {
              if (c == '\n' && !keepsLines) {
                safe.append("\\n");
              } else if (c == '\t' && !keepsLines) {
                safe.append("\\t");
              } else if (c == '\r' && !keepsLines) {
                safe.append("\\r");
              } else if (c == '\n' || c == '\t') {
                safe.appendCodePoint(c);
              } else {
                Printable.append(safe, c);
              }
            });
    return safe.toString();
  }

  private static boolean harmless(char c, boolean keepsLines) {
    return c >= ' ' && c < 0x7f || keepsLines && (c == '\n' || c == '\t');
  }

  /** Escapes whatever is printed to a stream. */
  static final class Stream extends PrintStream {
    Stream(PrintStream to) {
      super(to, true, StandardCharsets.UTF_8);
    }

    @Override
    public void print(String text) {
      super.print(escape(String.valueOf(text)));
    }

    @Override
    public void println(String text) {
      super.println(escape(String.valueOf(text)));
    }

    @Override
    public void println(Object value) {
      println(String.valueOf(value));
    }

    /** Prints what this program made itself. */
    void printRaw(String text) {
      super.print(text);
    }
  }
}
