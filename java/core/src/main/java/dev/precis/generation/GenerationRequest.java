package dev.precis.generation;

import dev.precis.io.InvalidInputException;
import dev.precis.tensor.Ragged;
import java.util.List;

/**
 * A caller's request to a model: one source or many, with options of its own.
 *
 * @param sources token ids of each source, its end token included
 * @param options of decoding; its seed is the request's own
 * @param batchSize the most of these sources that are decoded at the same time, at least 1: more is
 *     faster and takes more memory; the tokens are the same
 * @param firstSource index that the first source counts as when tokens are sampled: a run that is
 *     resumed at its n-th source samples the same tokens as an uninterrupted one
 * @param adapter name of a LoRA adapter that the model keeps; null: the model's default adapters
 */
public record GenerationRequest(
    List<int[]> sources,
    GenerationOptions options,
    int batchSize,
    long firstSource,
    String adapter) {
  /** Sources that are decoded in one batch if a request does not say. */
  public static final int DEFAULT_BATCH_SIZE = 8;

  /**
   * Keeps its own list of the sources.
   *
   * @throws InvalidInputException if batchSize is below 1
   */
  public GenerationRequest {
    sources = List.copyOf(sources);
    if (batchSize < 1) {
      throw new InvalidInputException("batch-size is " + batchSize + ", but must be >= 1.");
    }
  }

  /**
   * Checks what depends on a model.
   *
   * @throws InvalidInputException if a source is empty, longer than maxSourceTokens, or has an id
   *     outside the vocabulary, or if a rule of the options has one
   */
  void check(int vocabSize) {
    options.checkTokens(vocabSize);
    for (int i = 0; i < sources.size(); i++) {
      int length = sources.get(i).length;
      if (length > options.maxSourceTokens()) {
        throw new InvalidInputException(
            "Source %d has %d tokens, more than max-source-tokens, %d: shorten it, or raise that; the encoder's time grows with the square of the length."
                .formatted(i, length, options.maxSourceTokens()));
      }
    }
    Ragged.check(sources, vocabSize);
  }

  /** Makes a request for one source. */
  public static GenerationRequest of(int[] source, GenerationOptions options) {
    return of(List.of(source), options);
  }

  /** Makes a request for several sources. */
  public static GenerationRequest of(List<int[]> sources, GenerationOptions options) {
    return new GenerationRequest(sources, options, DEFAULT_BATCH_SIZE, 0, null);
  }

  /** Returns this request with another {@link #batchSize}. */
  public GenerationRequest withBatchSize(int batchSize) {
    return new GenerationRequest(sources, options, batchSize, firstSource, adapter);
  }

  /** Returns this request with another {@link #firstSource}. */
  public GenerationRequest withFirstSource(long firstSource) {
    return new GenerationRequest(sources, options, batchSize, firstSource, adapter);
  }

  /** Returns this request for a named adapter; null: the model's default adapters. */
  public GenerationRequest withAdapter(String adapter) {
    return new GenerationRequest(sources, options, batchSize, firstSource, adapter);
  }
}
