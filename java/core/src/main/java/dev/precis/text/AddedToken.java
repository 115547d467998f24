package dev.precis.text;

import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;

/**
 * A token that is found in the text as a whole, before the model sees it.
 *
 * @param content its text
 * @param singleWord whether it counts only between characters that are of no word
 * @param leftStrip whether it takes the whitespace before it along
 * @param rightStrip whether it takes the whitespace after it along
 * @param normalized whether it is looked for in the normalized text, normalized itself
 * @param special whether decoding may leave it out
 */
record AddedToken(
    String content,
    boolean singleWord,
    boolean leftStrip,
    boolean rightStrip,
    boolean normalized,
    boolean special) {
  /** The longest content; looking for a token takes time in proportion. */
  static final int MAX_LENGTH = 1_000;

  AddedToken {
    if (content.isEmpty() || content.length() > MAX_LENGTH) {
      throw new IllegalArgumentException("An added token has from 1 to 1000 characters");
    }
  }

  /** Returns a special token that is looked for as it stands. */
  static AddedToken special(String content) {
    return new AddedToken(content, false, false, false, false, true);
  }

  /** Returns the token with another mark. */
  AddedToken withSpecial(boolean mark) {
    return new AddedToken(content, singleWord, leftStrip, rightStrip, normalized, mark);
  }

  /**
   * Reads the object of a token, in {@code tokenizer.json} and {@code tokenizer_config.json} alike.
   *
   * @throws InvalidInputException if it has no usable content
   */
  static AddedToken read(JsonObject json) {
    boolean special = json.bool("special", false);
    return new AddedToken(
        checked(json.optionalText("content").orElse(""), json.where()),
        json.bool("single_word", false),
        json.bool("lstrip", false),
        json.bool("rstrip", false),
        json.bool("normalized", !special),
        special);
  }

  /**
   * Returns a content that can be looked for.
   *
   * @throws InvalidInputException if it is empty, too long or cut inside a character
   */
  static String checked(String content, String where) {
    if (content.isEmpty()
        || content.length() > MAX_LENGTH
        || Characters.unpairedSurrogate(content) >= 0) {
      throw new InvalidInputException(
          "%s: an added token needs a \"content\" of 1 to %d whole characters, and an \"id\""
              .formatted(where, MAX_LENGTH));
    }
    return content;
  }
}
