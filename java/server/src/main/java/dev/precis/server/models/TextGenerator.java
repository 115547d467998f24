package dev.precis.server.models;

import dev.precis.T5;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationCall;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationRequest;
import dev.precis.generation.ResultListener;
import dev.precis.generation.TokenListener;
import dev.precis.text.Tokenizer;
import java.util.List;

/** A T5, or one of its adapters, as requests use it. Thread-safe. */
public final class TextGenerator {
  private final T5 t5;
  private final String adapter; // null: the model itself

  TextGenerator(T5 t5, String adapter) {
    this.t5 = t5;
    this.adapter = adapter;
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
   * Generates from token ids, in one batch with the requests of other threads, and calls the
   * listeners on this thread. A listener that throws cancels the request.
   *
   * @param sources token ids of each source, its end token included
   * @return for each source, in order, numReturnSequences results, the best first
   * @throws java.util.concurrent.CancellationException if the thread is interrupted
   * @throws dev.precis.generation.TooManyRequestsException if too many requests wait already
   */
  public List<List<GeneratedTokens>> generate(
      List<int[]> sources,
      GenerationOptions options,
      TokenListener onToken,
      ResultListener onResult) {
    GenerationRequest request = GenerationRequest.of(sources, options).withAdapter(adapter);
    try (GenerationCall call = t5.submit(request, onToken, onResult)) {
      return call.await();
    }
  }

  /** Returns the number of numbers that represent a text. */
  public int embeddingSize() {
    return t5.config().dModel();
  }

  /**
   * Returns the mean of the encoder's last states of each source, which represents its text.
   *
   * @param sources token ids of each source, its end token included
   * @return for each source dModel numbers
   */
  public List<float[]> embed(List<int[]> sources) {
    return t5.embedTokens(sources, adapter);
  }
}
