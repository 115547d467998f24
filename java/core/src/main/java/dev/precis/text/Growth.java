package dev.precis.text;

import dev.precis.io.InvalidInputException;

/**
 * Limits how much a tokenizer's replacements lengthen a text: no file makes gigabytes of a line.
 */
final class Growth {
  private static final int FACTOR = 64;
  private static final int ALLOWANCE = 1_000;

  private Growth() {}

  /**
   * Refuses a text that has grown beyond measure.
   *
   * @param length of the text so far, in UTF-16 units
   * @param before the text that it was made of
   * @param where names the part of the file that replaces
   */
  static void check(int length, String before, String where) {
    if (length > ALLOWANCE + (long) FACTOR * before.length()) {
      throw new InvalidInputException(
          "%s makes more than %d characters of %d; its replacements are too long"
              .formatted(where, length - 1, before.length()));
    }
  }
}
