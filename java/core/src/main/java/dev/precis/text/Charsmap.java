package dev.precis.text;

import dev.precis.io.InvalidInputException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/**
 * SentencePiece's {@code precompiled_charsmap}: the length of a trie in bytes, the trie as a
 * darts-clone double array, and the replacements as zero-terminated UTF-8 texts that the trie's
 * leaves point into (all numbers 32 bits, little-endian).
 *
 * <p>A unit {@code u} at index {@code i} leads to the block at {@code i ^ offset(u)}, and from
 * there to {@code block ^ byte}; when it has a leaf, the unit at the block's start holds the index
 * of the replacement. darts-clone gives out units in blocks of 256, so every block lies within the
 * array, and {@link #parse} refuses a map whose offsets leave it.
 */
final class Charsmap {
  private static final int BLOCK = 256;
  private static final int LONGEST_CLUSTER = 5; // bytes of the longest cluster that is looked up

  private final int[] units;
  private final byte[] replacements; // zero-terminated texts

  /** By character below 0x800: its replacement, or itself where there is none. */
  private final String[] direct = new String[0x800];

  private Charsmap(int[] units, byte[] replacements) {
    this.units = units;
    this.replacements = replacements;
    for (int c = 0; c < direct.length; c++) {
      String same = Character.toString(c);
      String found = lookup(same.getBytes(StandardCharsets.UTF_8));
      direct[c] = found == null ? same : found;
    }
  }

  /**
   * Parses and checks a map.
   *
   * @param where the file, for the errors' sentences
   * @throws InvalidInputException if an offset leaves the trie or the replacements
   */
  static Charsmap parse(byte[] charsmap, String where) {
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
      long block = i ^ offset(unit);
      if (block >= units.length) {
        throw damaged(where, "unit " + i + " of its trie points outside");
      }
      if (hasLeaf(unit)) {
        long at = start + (long) (units[(int) block] & Integer.MAX_VALUE);
        if (at > charsmap.length || at < charsmap.length && (charsmap[(int) at] & 0xC0) == 0x80) {
          throw damaged(where, "unit " + i + " of its trie points to no replacement");
        }
      }
    }
    byte[] replacements = new byte[charsmap.length - start];
    System.arraycopy(charsmap, start, replacements, 0, replacements.length);
    return new Charsmap(units, replacements);
  }

  private static long offset(int unit) {
    return (long) (unit >>> 10) << ((unit & 1 << 9) >>> 6);
  }

  private static boolean hasLeaf(int unit) {
    return (unit & 1 << 8) != 0;
  }

  private static InvalidInputException damaged(String where, String what) {
    return new InvalidInputException(
        where + ": the precompiled_charsmap is damaged (" + what + "); fetch the file again");
  }

  /**
   * Returns the replacement of the shortest prefix that has one, or {@code null}. The shortest, not
   * the longest: the published implementation replaces the whole by it.
   */
  private String lookup(byte[] utf8) {
    int node = (int) offset(units[0]);
    for (byte b : utf8) {
      if (b == 0) {
        return null;
      }
      node ^= b & 0xFF;
      if (node >= units.length) {
        return null;
      }
      int unit = units[node];
      if ((unit & 0x800000FF) != (b & 0xFF)) {
        return null;
      }
      node ^= (int) offset(unit);
      if (hasLeaf(unit)) {
        return replacement(units[node] & Integer.MAX_VALUE);
      }
    }
    return null;
  }

  private String replacement(int start) {
    int end = start;
    while (end < replacements.length && replacements[end] != 0) {
      end++;
    }
    return new String(replacements, start, end - start, StandardCharsets.UTF_8);
  }

  /**
   * Replaces, by grapheme clusters where they are short, else by characters.
   *
   * @param where the file, for the errors' sentences
   * @throws InvalidInputException if the replacements are longer than any language's
   */
  String normalize(String text, String where) {
    StringBuilder out = new StringBuilder(text.length() + 8);
    for (int start = 0; start < text.length(); ) {
      int end = Graphemes.end(text, start);
      int c = text.codePointAt(start);
      if (end - start == Character.charCount(c)) {
        append(c, out);
      } else {
        byte[] utf8 = text.substring(start, end).getBytes(StandardCharsets.UTF_8);
        String found = utf8.length > LONGEST_CLUSTER ? null : lookup(utf8);
        if (found != null) {
          out.append(found);
        } else {
          for (int i = start; i < end; i += Character.charCount(c)) {
            c = text.codePointAt(i);
            append(c, out);
          }
        }
      }
      Growth.check(out.length(), text, where);
      start = end;
    }
    return out.toString();
  }

  private void append(int c, StringBuilder out) {
    if (c < direct.length) {
      out.append(direct[c]);
      return;
    }
    String found = lookup(Character.toString(c).getBytes(StandardCharsets.UTF_8));
    if (found == null) {
      out.appendCodePoint(c);
    } else {
      out.append(found);
    }
  }
}
