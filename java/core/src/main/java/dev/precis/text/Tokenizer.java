package dev.precis.text;

import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.List;

/**
 * Turns text into token ids and back, as the checkpoint's own tokenizer does.
 *
 * <p>A tokenizer may be used by any number of threads at once; {@link #close} waits for the calls
 * under way, and every call after it is an {@link IllegalStateException}. A {@link TokenStream}
 * belongs to one thread.
 */
public interface Tokenizer extends AutoCloseable {
  /**
   * Loads the tokenizer of a Hugging Face folder: {@code tokenizer.json} if there is one, else
   * {@code spiece.model} (T5's SentencePiece Unigram model, with its extra ids), else {@code
   * vocab.json} with {@code merges.txt} (RoBERTa's byte-level BPE). {@code tokenizer_config.json}
   * names the special tokens where it is present.
   *
   * @throws InvalidInputException if there is none of them, or the first found is damaged or of an
   *     unknown kind
   * @throws java.io.UncheckedIOException if a file cannot be read
   */
  static Tokenizer load(Path folder) {
    return TokenizerFiles.load(folder);
  }

  /**
   * Returns the SHA-256 of the files that {@link #load} reads a folder's tokenizer from: two
   * tokenizers with the same one cut every text alike.
   *
   * @throws InvalidInputException if there is no tokenizer
   * @throws java.io.UncheckedIOException if a file cannot be read
   */
  static String hash(Path folder) {
    return TokenizerFiles.hash(folder);
  }

  /**
   * Returns the ids of a text, special tokens included ({@code ... </s>} for T5, {@code <s> ...
   * </s>} for RoBERTa). Nothing is cut.
   *
   * @throws InvalidInputException if the text has an unpaired surrogate
   */
  default int[] encode(String text) {
    return encode(text, true);
  }

  /**
   * Returns the ids of a text, with or without the special tokens that the model expects around it.
   * Special tokens that stand in the text itself are recognised either way.
   *
   * @throws InvalidInputException if the text has an unpaired surrogate
   */
  int[] encode(String text, boolean addSpecialTokens);

  /**
   * Returns the ids of a text with its special tokens, at most {@code maxLength} of them: the text
   * is cut at its end, the special tokens stay.
   *
   * @throws IllegalArgumentException if {@code maxLength} has no room for the special tokens
   * @throws InvalidInputException if the text has an unpaired surrogate
   */
  int[] encode(String text, int maxLength);

  /** Encodes each text, in order; see {@link #encode(String, int)}. */
  default List<int[]> encode(List<String> texts, int maxLength) {
    return texts.stream().map(text -> encode(text, maxLength)).toList();
  }

  /**
   * Returns the text of ids. Ids beyond the vocabulary, which a model whose table is padded can
   * produce, have no text and are left out.
   *
   * @param skipSpecialTokens whether {@code <pad>}, {@code </s>} and their like are left out too
   * @throws IllegalArgumentException if an id is negative
   */
  String decode(int[] ids, boolean skipSpecialTokens);

  /**
   * Returns a decoder for ids that arrive one by one; its pieces add up to {@link #decode} of them
   * all.
   */
  default TokenStream stream(boolean skipSpecialTokens) {
    return new TokenStream(ids -> decode(ids, skipSpecialTokens));
  }

  /** Returns the id that pads the rows of a batch, or -1 if the tokenizer has none. */
  int padId();

  /** Returns the id that ends a text, or -1 if the tokenizer has none. */
  int eosId();

  /** Returns the id of unknown text, or -1 if the tokenizer has none. */
  int unkId();

  /**
   * Returns the number of tokens, special and added ones included. Ids run from 0 to one less: the
   * model's embedding table needs at least as many rows.
   */
  int vocabularySize();

  /**
   * Checks that the ids fit a model's embedding table.
   *
   * @param folder the model's folder, which the message names
   * @param rows rows of the embedding table
   * @throws InvalidInputException if there are more ids than rows
   */
  default void checkVocabulary(Path folder, int rows) {
    if (vocabularySize() > rows) {
      throw new InvalidInputException(
          ("%s: the tokenizer has ids up to %d, but the model's vocabulary has %d: the two are not"
                  + " of one model")
              .formatted(folder, vocabularySize() - 1, rows));
    }
  }

  /**
   * Returns the id of a token as the vocabulary spells it (T5's {@code ▁the}), or -1 if it has
   * none.
   */
  int tokenToId(String token);

  /** Returns the token of an id as the vocabulary spells it, or {@code null} if it has none. */
  String idToToken(int id);

  /** Frees the native tokenizer; a second call does nothing. */
  @Override
  void close();
}
