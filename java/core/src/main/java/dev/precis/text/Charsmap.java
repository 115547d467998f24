package dev.precis.text;

import dev.precis.io.InvalidInputException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/**
 * The check of SentencePiece's {@code precompiled_charsmap}: the length of a trie in bytes, the
 * trie as a darts-clone double array, and the replacements as zero-terminated UTF-8 texts that the
 * trie's leaves point into (all numbers 32 bits, little-endian).
 *
 * <p>The engine follows the trie without looking: a wrong offset would end the whole process. A
 * unit {@code u} at index {@code i} leads to the block at {@code i ^ offset(u)}, and from there to
 * {@code block ^ byte}; when it has a leaf, the unit at the block's start holds the index of the
 * replacement. darts-clone gives out units in blocks of 256, so every block lies within the array.
 */
final class Charsmap {
  private static final int BLOCK = 256;

  private Charsmap() {}

  /**
   * Checks the map. It uses plain arrays, because this runs before the JVM has compiled anything.
   */
  static void check(byte[] charsmap, String where) {
    ByteBuffer bytes = ByteBuffer.wrap(charsmap).order(ByteOrder.LITTLE_ENDIAN);
    long trieBytes = charsmap.length < 4 ? 0 : Integer.toUnsignedLong(bytes.getInt());
    if (trieBytes == 0 || trieBytes > charsmap.length - 4 || trieBytes % (4 * BLOCK) != 0) {
      throw damaged(where, "its trie has a wrong length");
    }
    int[] units = new int[(int) trieBytes / 4];
    bytes.asIntBuffer().get(units);
    int start = 4 + (int) trieBytes; // of the replacements
    try {
      StandardCharsets.UTF_8.newDecoder().decode(bytes.position(start));
    } catch (CharacterCodingException e) {
      throw damaged(where, "its replacements are not UTF-8");
    }
    for (int i = 0; i < units.length; i++) {
      int unit = units[i];
      if (unit < 0) {
        continue; // a leaf's value, never a step on the way
      }
      long block = i ^ ((long) (unit >>> 10) << ((unit & 1 << 9) >>> 6));
      if (block >= units.length) {
        throw damaged(where, "unit " + i + " of its trie points outside");
      }
      if ((unit & 1 << 8) != 0) {
        long at = start + (long) (units[(int) block] & Integer.MAX_VALUE);
        if (at > charsmap.length || at < charsmap.length && (charsmap[(int) at] & 0xC0) == 0x80) {
          throw damaged(where, "unit " + i + " of its trie points to no replacement");
        }
      }
    }
  }

  private static InvalidInputException damaged(String where, String what) {
    return new InvalidInputException(
        where + ": the precompiled_charsmap is damaged (" + what + "); fetch the file again");
  }
}
