package dev.precis.text;

import dev.precis.io.JsonObject;

/**
 * BERT's normalizer: drops control characters, makes every kind of space one, sets Chinese
 * characters apart, takes accents off and lowers the case, each where it is asked for.
 */
record BertNormalizer(boolean clean, boolean chinese, boolean stripAccents, boolean lowercase)
    implements Normalizer {
  /** Chinese characters as BERT has them: Hiragana, Katakana and Hangul are not among them. */
  private static final int[][] CHINESE = {
    {0x4E00, 0x9FFF},
    {0x3400, 0x4DBF},
    {0x20000, 0x2A6DF},
    {0x2A700, 0x2B73F},
    {0x2B740, 0x2B81F},
    {0x2B920, 0x2CEAF},
    {0xF900, 0xFAFF},
    {0x2F800, 0x2FA1F},
  };

  /** Reads its settings; accents go with the capitals where nothing is said about them. */
  static BertNormalizer read(JsonObject json) {
    boolean lowercase = json.bool("lowercase", true);
    return new BertNormalizer(
        json.bool("clean_text", true),
        json.bool("handle_chinese_chars", true),
        json.bool("strip_accents", lowercase),
        lowercase);
  }

  @Override
  public String normalize(String text) {
    StringBuilder out = new StringBuilder(text.length() + 16);
    text.codePoints().forEach(c -> append(c, out));
    String result = out.toString();
    if (stripAccents) {
      result = Characters.withoutAccents(result);
    }
    return lowercase ? Characters.lowercase(result) : result;
  }

  private void append(int c, StringBuilder out) {
    if (clean && isDropped(c)) {
      return;
    }
    if (clean && Characters.isWhitespace(c)) {
      out.append(' ');
    } else if (chinese && isChinese(c)) {
      out.append(' ').appendCodePoint(c).append(' ');
    } else {
      out.appendCodePoint(c);
    }
  }

  private static boolean isDropped(int c) {
    if (c == '\t' || c == '\n' || c == '\r') {
      return false;
    }
    int type = Character.getType(c);
    return c == 0xFFFD
        || type == Character.CONTROL
        || type == Character.FORMAT
        || type == Character.PRIVATE_USE;
  }

  private static boolean isChinese(int c) {
    for (int[] range : CHINESE) {
      if (c >= range[0] && c <= range[1]) {
        return true;
      }
    }
    return false;
  }
}
