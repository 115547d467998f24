package dev.precis.server.models;

import dev.precis.T5;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationOptions;
import dev.precis.text.Tokenizer;
import java.util.List;

/** A T5 as requests use it. Thread-safe. */
public final class TextGenerator {
  private final T5 t5;

  TextGenerator(T5 t5) {
    this.t5 = t5;
  }

  /** Returns the model's own options of generation. */
  public GenerationOptions options() {
    return t5.defaultOptions();
  }

  /** Returns its tokenizer. */
  public Tokenizer tokenizer() {
    return t5.tokenizer();
  }

  /** Returns true for a token that ends a text. */
  public boolean isEnd(int token) {
    return t5.config().eosTokenIds().contains(token);
  }

  /** Returns the number of ids in the model's vocabulary. */
  public int vocabularySize() {
    return t5.config().vocabSize();
  }

  /**
   * Generates from token ids.
   *
   * @param sources token ids of each source, its end token included
   * @return for each source, in order, numReturnSequences results, the best first
   */
  public List<List<GeneratedTokens>> generate(List<int[]> sources, GenerationOptions options) {
    return t5.generateTokens(sources, options, T5.DEFAULT_BATCH_SIZE, null);
  }
}
