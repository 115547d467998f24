package dev.precis.text;

import dev.precis.io.InvalidInputException;
import java.util.Arrays;
import java.util.Base64;

/** Base64 as the published reader takes it: with padding, and no stray bits before it. */
final class Base64Text {
  private Base64Text() {}

  static byte[] decode(String text, String where) {
    try {
      byte[] bytes = Base64.getDecoder().decode(text);
      byte[] last = Arrays.copyOfRange(bytes, Math.max(bytes.length - 1, 0) / 3 * 3, bytes.length);
      String end = Base64.getEncoder().encodeToString(last);
      if (text.length() % 4 == 0 && text.endsWith(end)) {
        return bytes;
      }
    } catch (IllegalArgumentException e) {
      // the sentence below
    }
    throw new InvalidInputException(where + ": the precompiled_charsmap is not base64");
  }
}
