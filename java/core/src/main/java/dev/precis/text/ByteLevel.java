package dev.precis.text;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/**
 * GPT-2's byte level (Radford et al. 2019): each byte of the UTF-8 text is written as a visible
 * character, so that no text has unknown characters.
 */
final class ByteLevel {
  private static final char[] CHARS = new char[256]; // by byte
  private static final int[] BYTES = new int[0x144]; // by character: the byte, or -1

  static {
    Arrays.fill(BYTES, -1);
    int next = 0x100;
    for (int b = 0; b < 256; b++) {
      boolean visible = b > 0x20 && b < 0x7F || b >= 0xA1 && b != 0xAD;
      CHARS[b] = (char) (visible ? b : next++);
      BYTES[CHARS[b]] = b;
    }
  }

  private ByteLevel() {}

  /** Returns the text's bytes as visible characters. */
  static String encode(String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    char[] chars = new char[utf8.length];
    for (int i = 0; i < chars.length; i++) {
      chars[i] = CHARS[utf8[i] & 0xFF];
    }
    return new String(chars);
  }

  /**
   * Joins tokens into their bytes and decodes those; a token of other characters stands as it is.
   */
  static List<String> decode(List<String> tokens) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (String token : tokens) {
      if (token.chars().allMatch(c -> c < BYTES.length && BYTES[c] >= 0)) {
        token.chars().forEach(c -> bytes.write(BYTES[c]));
      } else {
        bytes.writeBytes(token.getBytes(StandardCharsets.UTF_8));
      }
    }
    return List.of(Utf8Text.replacing(bytes.toByteArray()));
  }

  /**
   * Splits a text and writes its bytes.
   *
   * @param addPrefixSpace whether a piece that starts without a space gets one
   * @param split whether words are split off as GPT-2 does
   */
  record Splitter(boolean addPrefixSpace, boolean split) implements PreTokenizer {
    @Override
    public void split(Piece piece, List<Piece> out) {
      String text = piece.text();
      if (addPrefixSpace && !text.startsWith(" ")) {
        text = " " + text;
      }
      for (int start = 0; start < text.length(); ) {
        int end = split ? wordEnd(text, start) : text.length();
        out.add(new Piece(encode(text.substring(start, end)), piece.atStart() && start == 0));
        start = end;
      }
    }

    /**
     * Returns the end of the first match of GPT-2's expression at an index: {@code
     * 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+}. It matches at
     * every index, so that the matches are all of the text.
     */
    private static int wordEnd(String text, int start) {
      char c = text.charAt(start);
      if (c == '\'') {
        int end = contractionEnd(text, start);
        if (end > start) {
          return end;
        }
      }
      int word = c == ' ' ? start + 1 : start;
      if (word < text.length()) {
        int kind = kind(text.codePointAt(word));
        if (kind != SPACE) {
          return runEnd(text, word, kind);
        }
      }
      // The last space of a run belongs to the word after it.
      int end = runEnd(text, start, SPACE);
      return end < text.length() && end > start + 1 ? end - 1 : end;
    }

    private static int contractionEnd(String text, int start) {
      for (String end : new String[] {"s", "t", "re", "ve", "m", "ll", "d"}) {
        if (text.startsWith(end, start + 1)) {
          return start + 1 + end.length();
        }
      }
      return start;
    }

    private static final int SPACE = 0;

    private static int kind(int c) {
      if (Characters.isLetter(c)) {
        return 1;
      }
      return Characters.isNumeric(c) ? 2 : Characters.isWhitespace(c) ? SPACE : 3;
    }

    private static int runEnd(String text, int start, int kind) {
      int end = start;
      while (end < text.length()) {
        int c = text.codePointAt(end);
        if (kind(c) != kind) {
          break;
        }
        end += Character.charCount(c);
      }
      return end;
    }
  }
}
