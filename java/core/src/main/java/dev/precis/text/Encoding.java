package dev.precis.text;

/**
 * The ids of a text, or of a pair of texts, as an encoder reads them.
 *
 * @param ids token ids, special tokens included
 * @param types the type of each token: 0, and 1 in the second text of a pair where the tokenizer
 *     tells the two apart (BERT's does, RoBERTa's does not)
 */
public record Encoding(int[] ids, int[] types) {
  /** Makes an encoding of tokens that are all of the type 0. */
  public static Encoding single(int[] ids) {
    return new Encoding(ids, new int[ids.length]);
  }

  /** Returns the number of tokens. */
  public int length() {
    return ids.length;
  }
}
