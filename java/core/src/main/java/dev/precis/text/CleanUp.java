package dev.precis.text;

/**
 * The setting {@code clean_up_tokenization_spaces}: decoded text loses the spaces before
 * punctuation and English contractions. One rule after the other is applied to the whole text.
 */
final class CleanUp {
  private static final String[][] RULES = {
    {" .", "."},
    {" ?", "?"},
    {" !", "!"},
    {" ,", ","},
    {" ' ", "'"},
    {" n't", "n't"},
    {" 'm", "'m"},
    {" 's", "'s"},
    {" 've", "'ve"},
    {" 're", "'re"}
  };

  /** The longest text that becomes one match, {@code " n ' t"}, and room to spare. */
  private static final int HELD = 8;

  private static final int TRIM = 256;

  private final StringBuilder raw = new StringBuilder();
  private int given; // characters of the clean text that have been returned

  /** Cleans a whole text. */
  static String apply(String text) {
    String clean = text;
    for (String[] rule : RULES) {
      clean = clean.replace(rule[0], rule[1]);
    }
    return clean;
  }

  /** Takes the next part of a text and returns what no later part can change. */
  String append(String part) {
    raw.append(part);
    String clean = apply(raw.toString());
    int sure = Math.max(given, clean.length() - HELD);
    if (sure > given && Character.isHighSurrogate(clean.charAt(sure - 1))) {
      sure--;
    }
    String piece = clean.substring(given, sure);
    given = sure;
    trim();
    return piece;
  }

  /** Ends the text, returns its rest and makes ready for another one. */
  String finish() {
    String rest = apply(raw.toString()).substring(given);
    raw.setLength(0);
    given = 0;
    return rest;
  }

  /** Drops the start of a long text, up to a place that no rule reaches over. */
  private void trim() {
    if (raw.length() <= TRIM) {
      return;
    }
    for (int cut = raw.length() - 2 * HELD; cut >= HELD; cut--) {
      if (raw.lastIndexOf(" ", cut - 1) < cut - HELD) {
        int gone = apply(raw.substring(0, cut)).length();
        if (gone <= given) {
          raw.delete(0, cut);
          given -= gone;
        }
        return;
      }
    }
  }
}
