package dev.precis.text;

import dev.precis.io.InvalidInputException;
import java.text.Normalizer;
import java.util.function.IntUnaryOperator;

/** Classes of characters as the Unicode standard names them, by code point. */
final class Characters {
  /** Stands for no character. */
  static final int DROPPED = -1;

  private Characters() {}

  /** Returns true for White_Space, which differs from both of Java's own notions of it. */
  static boolean isWhitespace(int c) {
    if (c < 0x80) {
      return c == ' ' || c >= '\t' && c <= '\r';
    }
    return c == 0x85
        || c == 0xA0
        || c == 0x1680
        || c >= 0x2000 && c <= 0x200A
        || c == 0x2028
        || c == 0x2029
        || c == 0x202F
        || c == 0x205F
        || c == 0x3000;
  }

  /** Returns true for the general categories L*. */
  static boolean isLetter(int c) {
    return Character.isLetter(c);
  }

  /** Returns true for the general categories N*. */
  static boolean isNumeric(int c) {
    if (c < 0x80) {
      return c >= '0' && c <= '9';
    }
    int type = Character.getType(c);
    return type == Character.DECIMAL_DIGIT_NUMBER
        || type == Character.LETTER_NUMBER
        || type == Character.OTHER_NUMBER;
  }

  /** Returns true for the general categories M*. */
  static boolean isMark(int c) {
    int type = Character.getType(c);
    return type == Character.NON_SPACING_MARK
        || type == Character.COMBINING_SPACING_MARK
        || type == Character.ENCLOSING_MARK;
  }

  /** Returns true for ASCII's punctuation, symbols such as {@code $} included, and for P*. */
  static boolean isPunctuation(int c) {
    if (c < 0x80) {
      return c > ' ' && c < 0x7F && !Character.isLetterOrDigit(c);
    }
    return switch (Character.getType(c)) {
      case Character.CONNECTOR_PUNCTUATION,
          Character.DASH_PUNCTUATION,
          Character.START_PUNCTUATION,
          Character.END_PUNCTUATION,
          Character.INITIAL_QUOTE_PUNCTUATION,
          Character.FINAL_QUOTE_PUNCTUATION,
          Character.OTHER_PUNCTUATION ->
          true;
      default -> false;
    };
  }

  /** Returns true for a character of a word: Alphabetic, a mark, a digit, a connector, a joiner. */
  static boolean isWord(int c) {
    return Character.isAlphabetic(c)
        || isMark(c)
        || Character.isDigit(c)
        || Character.getType(c) == Character.CONNECTOR_PUNCTUATION
        || c == 0x200C
        || c == 0x200D;
  }

  /** Returns the index of the first half of a surrogate pair without its other half, or -1. */
  static int unpairedSurrogate(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (Character.isSurrogate(text.charAt(i))) {
        if (!Character.isHighSurrogate(text.charAt(i))
            || i + 1 == text.length()
            || !Character.isLowSurrogate(text.charAt(i + 1))) {
          return i;
        }
        i++;
      }
    }
    return -1;
  }

  /** Refuses half a surrogate pair: it has no UTF-8, and no token can stand for it. */
  static void checkSurrogates(String text) {
    int at = unpairedSurrogate(text);
    if (at >= 0) {
      throw new InvalidInputException(
          "The text has an unpaired surrogate (\\u%04x) at character %d; it was cut inside one"
              .formatted((int) text.charAt(at), at));
    }
  }

  /** Maps each character; those that become {@link #DROPPED} are left out. */
  static String map(String text, IntUnaryOperator character) {
    StringBuilder out = new StringBuilder(text.length());
    text.codePoints().map(character).filter(c -> c != DROPPED).forEach(out::appendCodePoint);
    return out.toString();
  }

  /** Maps each character by itself: no other form of sigma at a word's end, as the library does. */
  static String lowercase(String text) {
    StringBuilder out = new StringBuilder(text.length());
    text.codePoints()
        .forEach(
            c -> {
              out.appendCodePoint(Character.toLowerCase(c));
              if (c == 0x130) {
                out.append('\u0307'); // the dot of I WITH DOT ABOVE
              }
            });
    return out.toString();
  }

  /** Takes the marks off letters that have them. */
  static String withoutAccents(String text) {
    return map(
        Normalizer.normalize(text, Normalizer.Form.NFD),
        c -> Character.getType(c) == Character.NON_SPACING_MARK ? DROPPED : c);
  }
}
