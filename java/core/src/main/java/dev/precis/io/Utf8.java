package dev.precis.io;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** Strict UTF-8: Java's own decoding replaces what is not UTF-8 without a word. */
public final class Utf8 {
  private Utf8() {}

  /**
   * Decodes bytes.
   *
   * @param where names the bytes in the message
   * @throws InvalidInputException if they are not UTF-8
   */
  public static String decode(ByteBuffer bytes, String where) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw new InvalidInputException(where + " is not UTF-8 text", e);
    }
  }
}
