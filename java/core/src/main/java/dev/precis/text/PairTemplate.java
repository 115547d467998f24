package dev.precis.text;

import java.util.Arrays;
import java.util.List;

/**
 * The special tokens around and between the two texts of a pair, as the post-processor of {@code
 * tokenizer.json} has them.
 *
 * @param parts in their order; the first text's comes before the second's
 */
record PairTemplate(List<Part> parts) {
  /**
   * A part of a pair.
   *
   * @param text 0: the first text, 1: the second text, -1: special tokens
   * @param ids of the special tokens
   * @param type of its tokens
   */
  record Part(int text, int[] ids, int type) {
    static Part first(int type) {
      return new Part(0, new int[0], type);
    }

    static Part second(int type) {
      return new Part(1, new int[0], type);
    }

    static Part special(int type, int... ids) {
      return new Part(-1, ids, type);
    }
  }

  /** Puts two texts one behind the other, the second of another type. */
  static final PairTemplate PLAIN = new PairTemplate(List.of(Part.first(0), Part.second(1)));

  PairTemplate {
    parts = List.copyOf(parts);
  }

  /** Returns the number of special tokens. */
  int specialTokens() {
    return parts.stream().mapToInt(part -> part.ids.length).sum();
  }

  /** Puts two texts together. */
  Encoding join(int[] first, int[] second) {
    int[][] texts = {first, second};
    int length = first.length + second.length + specialTokens();
    int[] ids = new int[length];
    int[] types = new int[length];
    int at = 0;
    for (Part part : parts) {
      int[] tokens = part.text < 0 ? part.ids : texts[part.text];
      System.arraycopy(tokens, 0, ids, at, tokens.length);
      Arrays.fill(types, at, at + tokens.length, part.type);
      at += tokens.length;
    }
    return new Encoding(ids, types);
  }
}
