package dev.precis.text;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Extended grapheme clusters (Unicode Standard Annex 29): what a reader takes for one character.
 */
final class Graphemes {
  private static final Pattern CLUSTER = Pattern.compile("\\X");
  private static final int WINDOW = 64; // chars that one look covers

  private Graphemes() {}

  /** Returns the end of the cluster that starts at an index. */
  static int end(String text, int start) {
    int c = text.codePointAt(start);
    int next = start + Character.charCount(c);
    if (next == text.length() || standsAlone(c) && standsAlone(text.codePointAt(next))) {
      return next;
    }
    // A cluster without end, such as a thousand accents, is cut: only short ones are looked up.
    Matcher matcher = CLUSTER.matcher(text).region(start, Math.min(text.length(), start + WINDOW));
    return matcher.lookingAt() ? Math.max(next, matcher.end()) : next;
  }

  /** Returns true for characters between any two of which a cluster ends. */
  private static boolean standsAlone(int c) {
    return c < 0x300 && c != '\r'
        || c >= 0x400 && c < 0x483
        || c >= 0x4E00 && c < 0xA000
        || c >= 0x3041 && c < 0x3097
        || c >= 0x30A1 && c < 0x30FB;
  }
}
