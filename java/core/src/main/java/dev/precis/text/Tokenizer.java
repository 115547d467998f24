package dev.precis.text;

import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * Turns text into token ids and back, as the checkpoint's own tokenizer does.
 *
 * <p>A tokenizer may be used by any number of threads at once; every call after {@link #close} is
 * an {@link IllegalStateException}. A {@link TokenStream} belongs to one thread.
 */
public final class Tokenizer implements AutoCloseable {
  private final TokenizerPipeline pipeline;
  private final TokenizerFiles.Loaded loaded;
  private volatile boolean closed;

  private Tokenizer(TokenizerFiles.Loaded loaded) {
    this.loaded = loaded;
    pipeline = loaded.pipeline();
  }

  /**
   * Loads the tokenizer of a Hugging Face folder: {@code tokenizer.json} if there is one, else
   * {@code spiece.model} (T5's SentencePiece Unigram model, with its extra ids), else {@code
   * vocab.json} with {@code merges.txt} (RoBERTa's byte-level BPE), else {@code vocab.txt} (BERT's
   * WordPiece), else ByT5's bytes where {@code tokenizer_config.json} says so. That file, {@code
   * special_tokens_map.json} and {@code added_tokens.json} add tokens and settings where they are
   * present.
   *
   * @throws InvalidInputException if there is none of them, or the first found is damaged or of an
   *     unknown kind
   * @throws java.io.UncheckedIOException if a file cannot be read
   */
  public static Tokenizer load(Path folder) {
    return new Tokenizer(TokenizerFiles.load(folder));
  }

  /**
   * Returns the SHA-256 of the files that {@link #load} reads a folder's tokenizer from: two
   * tokenizers with the same one cut every text alike.
   *
   * @throws InvalidInputException if there is no tokenizer
   * @throws java.io.UncheckedIOException if a file cannot be read
   */
  public static String hash(Path folder) {
    return TokenizerFiles.hash(folder);
  }

  /**
   * Returns the ids of a text, special tokens included ({@code ... </s>} for T5, {@code <s> ...
   * </s>} for RoBERTa). Nothing is cut.
   *
   * @throws InvalidInputException if the text has an unpaired surrogate
   */
  public int[] encode(String text) {
    return encode(text, true);
  }

  /**
   * Returns the ids of a text, with or without the special tokens that the model expects around it.
   * Special tokens that stand in the text itself are recognised either way.
   *
   * @throws InvalidInputException if the text has an unpaired surrogate
   */
  public int[] encode(String text, boolean addSpecialTokens) {
    checkOpen();
    Characters.checkSurrogates(text);
    return pipeline.encode(text, addSpecialTokens);
  }

  /**
   * Returns the ids of a text with its special tokens, at most {@code maxLength} of them: the text
   * is cut at its end, the special tokens stay.
   *
   * @throws IllegalArgumentException if {@code maxLength} has no room for the special tokens
   * @throws InvalidInputException if the text has an unpaired surrogate
   */
  public int[] encode(String text, int maxLength) {
    int[] suffix = pipeline.postProcessor().suffix();
    int room = pipeline.postProcessor().prefix().length + suffix.length;
    if (maxLength < room) {
      throw new IllegalArgumentException(
          "A length of at most %d has no room for the %d special tokens"
              .formatted(maxLength, room));
    }
    int[] ids = encode(text, true);
    if (ids.length <= maxLength) {
      return ids;
    }
    int[] cut = Arrays.copyOf(ids, maxLength);
    System.arraycopy(suffix, 0, cut, maxLength - suffix.length, suffix.length);
    return cut;
  }

  /**
   * Returns the ids of a pair of texts as an encoder reads them, at most {@code maxLength} of them
   * with the special tokens around and between them. Where they are more, the first text is cut at
   * its end (transformers' {@code only_first}); where the second alone is too long, it is cut too.
   *
   * @throws InvalidInputException if a text has an unpaired surrogate, or the tokenizer's file has
   *     no template for pairs, or one whose special tokens leave no room in {@code maxLength}
   */
  public Encoding encodePair(String first, String second, int maxLength) {
    checkOpen();
    PairTemplate pair = pipeline.postProcessor().pair();
    if (pair == null) {
      throw new InvalidInputException(
          "The tokenizer has no template for pairs of texts: its post_processor needs a \"pair\""
              + " with the texts A and B");
    }
    if (maxLength <= pair.specialTokens()) {
      throw new InvalidInputException(
          "A length of at most %d has no room for a pair of texts: the tokenizer adds %d special tokens"
              .formatted(maxLength, pair.specialTokens()));
    }
    Characters.checkSurrogates(first);
    Characters.checkSurrogates(second);
    return pipeline.encodePair(pair, first, second, maxLength);
  }

  /** Encodes each text, in order; see {@link #encode(String, int)}. */
  public List<int[]> encode(List<String> texts, int maxLength) {
    return texts.stream().map(text -> encode(text, maxLength)).toList();
  }

  /**
   * Returns the text of ids. Ids beyond the vocabulary, which a model whose table is padded can
   * produce, have no text and are left out.
   *
   * @param skipSpecialTokens whether {@code <pad>}, {@code </s>} and their like are left out too
   * @throws IllegalArgumentException if an id is negative
   */
  public String decode(int[] ids, boolean skipSpecialTokens) {
    String text = decodeRaw(ids, skipSpecialTokens);
    return loaded.cleanUp() ? CleanUp.apply(text) : text;
  }

  private String decodeRaw(int[] ids, boolean skipSpecialTokens) {
    checkOpen();
    for (int id : ids) {
      if (id < 0) {
        throw new IllegalArgumentException("Token ids are not negative, but one is " + id);
      }
    }
    return pipeline.decode(ids, skipSpecialTokens);
  }

  /**
   * Returns a decoder for ids that arrive one by one; its pieces add up to {@link #decode} of them
   * all.
   */
  public TokenStream stream(boolean skipSpecialTokens) {
    return new TokenStream(ids -> decodeRaw(ids, skipSpecialTokens), loaded.cleanUp());
  }

  /** Returns the id that pads the rows of a batch, or -1 if the tokenizer has none. */
  public int padId() {
    return loaded.pad();
  }

  /** Returns the id that ends a text, or -1 if the tokenizer has none. */
  public int eosId() {
    return loaded.eos();
  }

  /** Returns the id of unknown text, or -1 if the tokenizer has none. */
  public int unkId() {
    return loaded.unk();
  }

  /**
   * Returns the number of tokens, special and added ones included. Ids run from 0 to one less: the
   * model's embedding table needs at least as many rows.
   */
  public int vocabularySize() {
    return pipeline.vocabulary().size();
  }

  /**
   * Checks that the ids fit a model's embedding table.
   *
   * @param folder the model's folder, which the message names
   * @param rows rows of the embedding table
   * @throws InvalidInputException if there are more ids than rows
   */
  public void checkVocabulary(Path folder, int rows) {
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
  public int tokenToId(String token) {
    return pipeline.vocabulary().id(token);
  }

  /** Returns the token of an id as the vocabulary spells it, or {@code null} if it has none. */
  public String idToToken(int id) {
    return pipeline.vocabulary().token(id);
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("The tokenizer is closed");
    }
  }

  /** Ends the tokenizer's use; a second call does nothing. */
  @Override
  public void close() {
    closed = true;
  }
}
