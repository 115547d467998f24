package dev.precis.generation;

import dev.precis.io.InvalidInputException;
import dev.precis.ops.Ops;
import dev.precis.t5.T5Config;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.DecoderCache;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Workspace;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;

/**
 * Generates token ids from source token ids. Several sequences are decoded in one batch; when one
 * ends, the next source takes its place, so that no step runs half empty. The tokens of a sequence
 * do not depend on its neighbors: any batch size gives the same tokens.
 *
 * <p>Not thread-safe. If the thread is interrupted, the call ends with a {@link
 * java.util.concurrent.CancellationException}, after the decoding step or the piece of the encoder
 * that is running: within some 100 ms. The next call works as if nothing had happened.
 */
public final class Generator implements AutoCloseable {
  private static final int SHORT_SOURCE = 32;
  private static final int LONG_SOURCE = 96;

  private final T5Model model;
  private final T5Config config;

  /** Memory of a whole call: keys and values, the rows. */
  private final Workspace lasting;

  /** Memory of one step, or of one run of the encoder. */
  private final Workspace passing;

  /** Makes a generator for a model, which must outlive it. The caller must close it. */
  public Generator(T5Model model) {
    this.model = model;
    this.config = model.config();
    Ops ops = model.ops();
    this.lasting = ops.newWorkspace();
    this.passing = ops.newWorkspace();
  }

  /**
   * Generates for every source.
   *
   * @param sources token ids of each source, its end token included
   * @param batchSize the most sources that are decoded in one batch, at least 1
   * @param firstSource index that the first source counts as when tokens are sampled: a run that is
   *     resumed at its n-th source samples the same tokens as an uninterrupted one
   * @param onToken receives each token as it is chosen; null for none
   * @param onResult receives each source's results as they are complete; null for none
   * @return for each source, in order, numReturnSequences results, the best first
   * @throws InvalidInputException if a source is empty, longer than maxSourceTokens, or has an id
   *     outside the vocabulary, if a rule of the options has one, or if batchSize is below 1
   * @throws java.util.concurrent.CancellationException if the thread is interrupted
   * @throws GenerationTimeoutException if the options' timeout passes
   */
  public List<List<GeneratedTokens>> generate(
      List<int[]> sources,
      GenerationOptions options,
      int batchSize,
      long firstSource,
      TokenListener onToken,
      ResultListener onResult) {
    Thread caller = Thread.currentThread();
    try {
      return generate(
          sources, options, batchSize, firstSource, onToken, onResult, caller::isInterrupted);
    } catch (CancellationException e) {
      Thread.interrupted(); // the exception stands for the interrupt
      throw e;
    }
  }

  /** Generates until the call is cancelled, rather than its thread interrupted. */
  List<List<GeneratedTokens>> generate(
      List<int[]> sources,
      GenerationOptions options,
      int batchSize,
      long firstSource,
      TokenListener onToken,
      ResultListener onResult,
      BooleanSupplier cancelled) {
    if (batchSize < 1) {
      throw new InvalidInputException("batch-size is " + batchSize + ", but must be >= 1.");
    }
    if (sources.isEmpty()) {
      return List.of();
    }
    check(sources, options);
    Interruption interruption = new Interruption(model.ops(), options.timeout(), cancelled);
    lasting.reset();
    passing.reset();
    StopRules stop =
        StopRules.uniform(config.eosTokenIds(), sources.size(), options.maxNewTokens());
    return options.numBeams() > 1
        ? searchBeams(sources, options, stop, interruption, batchSize, onResult)
        : greedyOrSample(
            sources, options, stop, interruption, batchSize, firstSource, onToken, onResult);
  }

  void check(List<int[]> sources, GenerationOptions options) {
    checkTokens(options.tokenRules());
    for (int i = 0; i < sources.size(); i++) {
      int length = sources.get(i).length;
      if (length > options.maxSourceTokens()) {
        throw new InvalidInputException(
            "Source %d has %d tokens, more than max-source-tokens, %d: shorten it, or raise that; the encoder's time grows with the square of the length."
                .formatted(i, length, options.maxSourceTokens()));
      }
    }
  }

  private void checkTokens(TokenRules rules) {
    if (rules.largestToken() >= config.vocabSize()) {
      throw new InvalidInputException(
          "A rule of the generation options names token %d, but the vocabulary ends with %d."
              .formatted(rules.largestToken(), config.vocabSize() - 1));
    }
  }

  private List<List<GeneratedTokens>> greedyOrSample(
      List<int[]> sources,
      GenerationOptions options,
      StopRules stop,
      Interruption interruption,
      int batchSize,
      long firstSource,
      TokenListener onToken,
      ResultListener onResult) {
    int each = options.numReturnSequences();
    int slots = Math.min(Math.multiplyExact(batchSize, each), sources.size() * each);
    DecoderCache cache =
        model.newCache(slots, longest(sources), slots, options.maxNewTokens(), lasting);
    DecodeBuffers buffers = buffers(cache, options);
    Results<GeneratedTokens> results = new Results<>(sources.size(), each);
    GreedyOrSampling.Listener listener =
        new GreedyOrSampling.Listener() {
          @Override
          public void token(int source, int sequence, int token, float logProbability) {
            if (onToken != null) {
              onToken.token(source, sequence, token, logProbability);
            }
          }

          @Override
          public void finished(int source, int sequence, SampledTokens result) {
            boolean complete = results.set(source, sequence, withScore(result));
            if (complete && onResult != null) {
              onResult.done(source, results.of(source));
            }
          }
        };
    SourceAdmission admission =
        new SourceAdmission.OnDemand(model, cache, passing, sources, interruption);
    new DecodingLoop(model, cache, buffers, passing)
        .run(
            new GreedyOrSampling(
                model, cache, buffers, admission, options, stop, firstSource, false, listener),
            interruption);
    return results.all();
  }

  private List<List<GeneratedTokens>> searchBeams(
      List<int[]> sources,
      GenerationOptions options,
      StopRules stop,
      Interruption interruption,
      int batchSize,
      ResultListener onResult) {
    int together = Math.min(batchSize, sources.size());
    int slots = Math.multiplyExact(together, options.numBeams());
    DecoderCache cache =
        model.newCache(together, longest(sources), slots, options.maxNewTokens(), lasting);
    DecodeBuffers buffers = buffers(cache, options);
    List<List<GeneratedTokens>> results = new ArrayList<>();
    ResultListener listener =
        (source, result) -> {
          results.add(result);
          if (onResult != null) {
            onResult.done(source, result);
          }
        };
    SourceAdmission admission =
        new SourceAdmission.OnDemand(model, cache, passing, sources, interruption);
    new DecodingLoop(model, cache, buffers, passing)
        .run(
            new BeamSearch(model, cache, buffers, admission, options, stop, lasting, listener),
            interruption);
    return results;
  }

  /**
   * Samples for sources that are encoded already: all of them in one batch, numReturnSequences
   * sequences each, over one set of cross-attention keys and values. Samples the same tokens as
   * {@link #generate}.
   *
   * @param encoded in memory that this call does not reuse
   * @param limits the most new tokens of each source, in place of the options' maxNewTokens
   * @param firstSource see {@link #generate}
   * @return for each source, in order, numReturnSequences results
   * @throws IllegalArgumentException if the options do not sample
   */
  public List<List<SampledTokens>> sample(
      Encoded encoded, GenerationOptions options, int[] limits, long firstSource) {
    if (!options.sample()) {
      throw new IllegalArgumentException("These options do not sample.");
    }
    checkTokens(options.tokenRules());
    Interruption interruption =
        new Interruption(model.ops(), options.timeout(), Thread.currentThread()::isInterrupted);
    lasting.reset();
    passing.reset();
    StopRules stop = new StopRules(config.eosTokenIds(), limits);
    int sources = encoded.source().sequences();
    int each = options.numReturnSequences();
    int slots = Math.multiplyExact(sources, each);
    DecoderCache cache =
        model.newCache(sources, encoded.source().longest(), slots, stop.longest(), lasting);
    DecodeBuffers buffers = buffers(cache, options);
    Results<SampledTokens> results = new Results<>(sources, each);
    GreedyOrSampling.Listener listener =
        new GreedyOrSampling.Listener() {
          @Override
          public void token(int source, int sequence, int token, float logProbability) {
            // Rollouts are read when they are complete.
          }

          @Override
          public void finished(int source, int sequence, SampledTokens result) {
            results.set(source, sequence, result);
          }
        };
    SourceAdmission admission = new SourceAdmission.Shared(model, cache, encoded);
    new DecodingLoop(model, cache, buffers, passing)
        .run(
            new GreedyOrSampling(
                model, cache, buffers, admission, options, stop, firstSource, true, listener),
            interruption);
    return results.all();
  }

  /**
   * Allocates the memory that {@link #sample} needs at most, all at once.
   *
   * @param sources in one batch
   * @param longest tokens of each source
   * @param each sequences of a source
   * @param newTokens of each sequence
   * @return bytes
   */
  public long reserve(int sources, int longest, int each, int newTokens) {
    int slots = Math.multiplyExact(sources, each);
    lasting.reset();
    lasting.resetPeak();
    DecoderCache cache = model.newCache(sources, longest, slots, newTokens, lasting);
    DecodeBuffers buffers = buffers(cache, GenerationOptions.DEFAULT);
    for (int slot = 0; slot < slots; slot++) {
      buffers.start(slot, config.decoderStartTokenId(), slot * newTokens, 0, 1, slot);
    }
    buffers.use(slots);
    passing.reset();
    passing.resetPeak();
    model.step(cache, buffers.rows(), buffers.logits(), passing);
    lasting.reserve(lasting.peak());
    passing.reserve(passing.peak());
    return lasting.peak() + passing.peak();
  }

  /**
   * Allocates the memory that encoding takes at most, once {@link #reserve} has allocated that of
   * decoding. It grows linearly with the tokens, so that two short sources measure it.
   *
   * @param sourceTokens tokens of all sources of a batch together
   * @return bytes more than those of {@link #reserve}
   */
  public long reserveEncoder(long sourceTokens) {
    long decoding = passing.peak();
    // Once to size the workspace: memory is given back on the way only if it is one block.
    encoderBytes(LONG_SOURCE);
    long base = encoderBytes(SHORT_SOURCE);
    double perToken = (encoderBytes(LONG_SOURCE) - base) / (double) (LONG_SOURCE - SHORT_SOURCE);
    double encoding = base + perToken * (sourceTokens - SHORT_SOURCE);
    // Room for rounding up to whole cache lines, and for the offsets of the sequences.
    long bytes = Math.max(decoding, (long) (encoding * 1.01) + (1 << 16));
    passing.reserve(bytes);
    passing.resetPeak();
    lasting.resetPeak();
    return bytes - decoding;
  }

  private long encoderBytes(int tokens) {
    int[] source = new int[tokens];
    Arrays.fill(source, config.eosTokenId());
    passing.reset();
    passing.resetPeak();
    model.encode(Ragged.of(List.of(source), config.vocabSize(), passing), passing);
    return passing.peak();
  }

  /** Returns the most memory that was in use since {@link #reserve}, in bytes. */
  public long peak() {
    return lasting.peak() + passing.peak();
  }

  private DecodeBuffers buffers(DecoderCache cache, GenerationOptions options) {
    return new DecodeBuffers(
        cache.slots(),
        cache.slotTokens(),
        config.vocabSize(),
        config.eosTokenIds(),
        options,
        lasting);
  }

  private static int longest(List<int[]> sources) {
    return sources.stream().mapToInt(source -> source.length).reduce(1, Math::max);
  }

  /** Adds up the log-probabilities, in float32 and in the order of the tokens. */
  private static GeneratedTokens withScore(SampledTokens sampled) {
    float score = 0;
    for (float logProbability : sampled.logProbabilities()) {
      score += logProbability;
    }
    return new GeneratedTokens(
        sampled.tokens(), score, sampled.finished(), sampled.logProbabilities());
  }

  /** Results by source and sequence, as they come. */
  private static final class Results<T> {
    private final List<List<T>> all = new ArrayList<>();
    private final int[] missing;

    Results(int sources, int each) {
      missing = new int[sources];
      for (int i = 0; i < sources; i++) {
        all.add(new ArrayList<>(Collections.nCopies(each, null)));
        missing[i] = each;
      }
    }

    /** Sets a result; returns true if it was the last one of its source. */
    boolean set(int source, int sequence, T result) {
      all.get(source).set(sequence, result);
      return --missing[source] == 0;
    }

    List<T> of(int source) {
      return all.get(source);
    }

    List<List<T>> all() {
      return all;
    }
  }

  @Override
  public void close() {
    lasting.close();
    passing.close();
  }
}
