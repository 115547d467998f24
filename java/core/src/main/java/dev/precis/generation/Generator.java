package dev.precis.generation;

import dev.precis.t5.T5Config;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Generates token ids from source token ids, on the calling thread. Several sequences are decoded
 * in one batch; when one ends, the next source takes its place, so that no step runs half empty.
 * The tokens of a sequence do not depend on its neighbors: any batch size gives the same tokens.
 *
 * <p>Not thread-safe. If the thread is interrupted, the call ends with a {@link
 * CancellationException}, after the decoding step or the piece of the encoder that is running:
 * within some 100 ms. The next call works as if nothing had happened.
 */
public final class Generator implements AutoCloseable {
  private static final int SHORT_SOURCE = 32;
  private static final int LONG_SOURCE = 96;

  private final T5Model model;
  private final T5Config config;
  private final RequestRunner runner;

  /** Makes a generator for a model, which must outlive it. The caller must close it. */
  public Generator(T5Model model) {
    this.model = model;
    this.config = model.config();
    runner = new RequestRunner(model, 1, Long.MAX_VALUE); // a request has the rows it asks for
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
   * @throws dev.precis.io.InvalidInputException if a source is empty, longer than maxSourceTokens,
   *     or has an id outside the vocabulary, if a rule of the options has one, or if batchSize is
   *     below 1
   * @throws CancellationException if the thread is interrupted
   * @throws GenerationTimeoutException if the options' timeout passes
   */
  public List<List<GeneratedTokens>> generate(
      List<int[]> sources,
      GenerationOptions options,
      int batchSize,
      long firstSource,
      TokenListener onToken,
      ResultListener onResult) {
    GenerationRequest request =
        new GenerationRequest(sources, options, batchSize, firstSource, null);
    request.check(config.vocabSize());
    if (sources.isEmpty()) {
      return List.of();
    }
    GenerationCall call = new GenerationCall(request, onToken, onResult, new AtomicInteger(1));
    runner.add(call, null, Thread.currentThread()::isInterrupted);
    try {
      while (!call.isDone()) {
        runner.step();
        call.runListeners();
      }
    } finally {
      runner.clear();
    }
    return call.await();
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
    options.checkTokens(config.vocabSize());
    List<int[]> sources = tokens(encoded.source());
    Samples samples = new Samples(sources.size(), options.numReturnSequences());
    runner
        .rows()
        .add(
            new RunningRequest(
                sources,
                encoded,
                options,
                new StopRules(config.eosTokenIds(), limits),
                sources.size(),
                firstSource,
                true,
                null,
                new Interruption(options.timeout(), Thread.currentThread()::isInterrupted),
                samples));
    try {
      while (runner.step()) {
        // All sequences are rows at once.
      }
    } finally {
      runner.clear();
    }
    return samples.all();
  }

  private static List<int[]> tokens(Ragged source) {
    List<int[]> all = new ArrayList<>();
    for (int i = 0; i < source.sequences(); i++) {
      int[] tokens = new int[source.length(i)];
      long first = source.begin(i) * 4L;
      MemorySegment.copy(
          source.ids().memory(), ValueLayout.JAVA_INT, first, tokens, 0, tokens.length);
      all.add(tokens);
    }
    return all;
  }

  /** The samples of each source. */
  private static final class Samples implements RunningRequest.Listener {
    private final List<List<SampledTokens>> all = new ArrayList<>();
    private Throwable failure;

    Samples(int sources, int each) {
      for (int i = 0; i < sources; i++) {
        all.add(new ArrayList<>(Collections.nCopies(each, null)));
      }
    }

    @Override
    public boolean begins() {
      return true;
    }

    @Override
    public void token(int source, int sequence, int token, float logProbability) {
      // Rollouts are read when they are complete.
    }

    @Override
    public void finished(int source, int sequence, SampledTokens result) {
      all.get(source).set(sequence, result);
    }

    @Override
    public void found(int source, List<GeneratedTokens> results) {
      throw new AssertionError("beams are not sampled");
    }

    @Override
    public void failed(Throwable reason) {
      failure = reason;
    }

    List<List<SampledTokens>> all() {
      return switch (failure) {
        case null -> all;
        case CancellationException e -> {
          Thread.interrupted(); // the exception stands for the interrupt
          throw new CancellationException("Generation was interrupted.");
        }
        case RuntimeException e -> throw e;
        case Error e -> throw e;
        case Throwable e -> throw new AssertionError(e);
      };
    }
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
    return runner.rows().reserve(sources, longest, Math.multiplyExact(sources, each), newTokens);
  }

  /**
   * Allocates the memory that encoding takes at most, once {@link #reserve} has allocated that of
   * decoding. It grows linearly with the tokens, so that two short sources measure it.
   *
   * @param sourceTokens tokens of all sources of a batch together
   * @return bytes more than those of {@link #reserve}
   */
  public long reserveEncoder(long sourceTokens) {
    Workspace passing = runner.passing();
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
    return bytes - decoding;
  }

  private long encoderBytes(int tokens) {
    Workspace passing = runner.passing();
    int[] source = new int[tokens];
    Arrays.fill(source, config.eosTokenId());
    passing.reset();
    passing.resetPeak();
    model.encode(Ragged.of(List.of(source), config.vocabSize(), passing), passing);
    return passing.peak();
  }

  /** Returns the most memory that was in use since {@link #reserve}, in bytes. */
  public long peak() {
    return runner.rows().bytes() + runner.passing().peak();
  }

  @Override
  public void close() {
    runner.close();
  }
}
