package dev.precis.text;

import java.nio.charset.StandardCharsets;

/**
 * Decodes bytes that may be no UTF-8. Java's decoder writes one mark for the three bytes of a
 * surrogate, where the standard's practice, which the published tokenizers follow, is one for each
 * part that cannot begin a character.
 */
final class Utf8Text {
  private Utf8Text() {}

  /** Returns the text with U+FFFD for each longest part that begins a character but ends early. */
  static String replacing(byte[] bytes) {
    return decode(bytes, "\uFFFD");
  }

  /** Returns the text without what is no UTF-8. */
  static String ignoring(byte[] bytes) {
    return decode(bytes, "");
  }

  private static String decode(byte[] bytes, String mark) {
    StringBuilder out = new StringBuilder(bytes.length);
    int good = 0; // start of the bytes that are good so far
    for (int i = 0; i < bytes.length; ) {
      int length = validLength(bytes, i);
      if (length > 0) {
        i += length;
        continue;
      }
      out.append(new String(bytes, good, i - good, StandardCharsets.UTF_8)).append(mark);
      i -= length;
      good = i;
    }
    return out.append(new String(bytes, good, bytes.length - good, StandardCharsets.UTF_8))
        .toString();
  }

  /** Returns the length of the character at an index; if it is none, minus the bytes to drop. */
  private static int validLength(byte[] bytes, int at) {
    int first = bytes[at] & 0xFF;
    if (first < 0x80) {
      return 1;
    }
    int length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (length == 0) {
      return -1;
    }
    // The second byte's range keeps out overlong forms, surrogates and what is past U+10FFFF.
    int low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    int high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    for (int i = 1; i < length; i++) {
      int next = at + i < bytes.length ? bytes[at + i] & 0xFF : -1;
      if (next < low || next > high) {
        return -i;
      }
      low = 0x80;
      high = 0xBF;
    }
    return length;
  }
}
