package dev.precis.generation;

import dev.precis.ops.LogitRules;
import dev.precis.ops.Ops;
import dev.precis.ops.SamplingParameters;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.DecoderCache;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Greedy decoding and sampling: one row for each sequence. When a sequence ends, the next one takes
 * its row, so that no step runs half empty.
 */
final class GreedyOrSampling implements DecodingStrategy {
  /** Streams of random numbers that belong to one source, one for each of its sequences. */
  private static final long STREAMS_PER_SOURCE = 1024;

  /** Receives the sequences as they are decoded. */
  interface Listener {
    /** Receives a token that was chosen for a sequence of a source. */
    void token(int source, int sequence, int token, float logProbability);

    /**
     * Receives a complete sequence.
     *
     * @param result its warped log-probabilities are null unless they were asked for
     */
    void finished(int source, int sequence, SampledTokens result);
  }

  /** A sequence that is being decoded. */
  private static final class Sequence {
    final int slot;
    int source;
    int index;
    int generated;
    float[] logProbabilities;
    float[] warped;

    Sequence(int slot) {
      this.slot = slot;
    }
  }

  private final Ops ops;
  private final int startToken;
  private final DecoderCache cache;
  private final DecodeBuffers buffers;
  private final SourceAdmission admission;
  private final GenerationOptions options;
  private final SamplingParameters sampling;
  private final StopRules stop;
  private final long firstSource;
  private final boolean warped;
  private final TokenRuleScores tokenRules; // null without such rules
  private final Listener listener;

  /** The sequences of the next step, by row. */
  private final List<Sequence> rows = new ArrayList<>();

  private final int total;
  private int next;

  /**
   * Prepares the decoding of numReturnSequences sequences of each source.
   *
   * @param firstSource index that the first source counts as when tokens are sampled
   * @param warped true to return the log-probabilities of the distribution that was sampled from
   */
  GreedyOrSampling(
      T5Model model,
      DecoderCache cache,
      DecodeBuffers buffers,
      SourceAdmission admission,
      GenerationOptions options,
      StopRules stop,
      long firstSource,
      boolean warped,
      Listener listener) {
    this.ops = model.ops();
    this.startToken = model.config().decoderStartTokenId();
    this.cache = cache;
    this.buffers = buffers;
    this.admission = admission;
    this.options = options;
    this.sampling =
        new SamplingParameters(
            options.seed(), options.temperature(), options.topK(), options.topP());
    this.stop = stop;
    this.firstSource = firstSource;
    this.warped = warped;
    this.listener = listener;
    tokenRules = TokenRuleScores.of(options, stop, admission::tokens);
    total = admission.sources() * options.numReturnSequences();
  }

  @Override
  public void start() {
    List<Integer> free = new ArrayList<>();
    for (int slot = 0; slot < cache.slots(); slot++) {
      rows.add(new Sequence(slot));
      free.add(slot);
    }
    fill(free);
  }

  @Override
  public int rows() {
    return rows.size();
  }

  @Override
  public boolean choosesOnHost() {
    return tokenRules != null;
  }

  @Override
  public void choose() {
    if (tokenRules == null) {
      choose(buffers.rules(options));
      return;
    }
    ops.softmax(buffers.logits(), buffers.originals(), true);
    tokenRules.before(buffers, rows.size(), this::source);
    ops.processLogits(buffers.logits(), buffers.rules(options));
    tokenRules.after(buffers, rows.size(), this::source);
    choose(buffers.noRules());
    ops.synchronize();
    buffers.useOriginalLogProbabilities();
  }

  private int source(int row) {
    return rows.get(row).source;
  }

  private void choose(LogitRules rules) {
    if (!options.sample()) {
      ops.greedy(buffers.logits(), rules, buffers.tokens(), buffers.logProbabilities());
      return;
    }
    ops.sample(
        buffers.logits(),
        rules,
        sampling,
        buffers.streams(),
        buffers.offsets(),
        new SamplingParameters.Outputs(
            buffers.tokens(),
            buffers.logProbabilities(),
            warped ? buffers.warpedLogProbabilities() : null,
            null));
  }

  @Override
  public void accept() {
    List<Integer> free = new ArrayList<>();
    for (int row = 0; row < rows.size(); row++) {
      Sequence sequence = rows.get(row);
      int token = buffers.append(row);
      sequence.logProbabilities[sequence.generated] = buffers.logProbability(row);
      if (warped) {
        sequence.warped[sequence.generated] = buffers.warpedLogProbability(row);
      }
      sequence.generated++;
      listener.token(sequence.source, sequence.index, token, buffers.logProbability(row));
      if (stop.stops(sequence.source, sequence.generated, token)) {
        finish(row, sequence, stop.ends(token));
        free.add(row);
      }
    }
    if (!free.isEmpty()) {
      fill(free);
    }
  }

  private void finish(int row, Sequence sequence, boolean ended) {
    int n = sequence.generated;
    SampledTokens result =
        new SampledTokens(
            buffers.history(row, 1, n),
            Arrays.copyOf(sequence.logProbabilities, n),
            warped ? Arrays.copyOf(sequence.warped, n) : null,
            ended);
    listener.finished(sequence.source, sequence.index, result);
  }

  /** Gives free rows to the next sequences, and removes the rows that none is left for. */
  private void fill(List<Integer> free) {
    int taken = Math.min(free.size(), total - next);
    if (taken > 0) {
      int each = options.numReturnSequences();
      admission.encode(next / each, (next + taken - 1) / each);
      for (int row : free.subList(0, taken)) {
        begin(row, rows.get(row), next / each, next % each);
        next++;
      }
    }
    // From the last row down, so that the rows that move are not themselves free.
    for (int row : free.subList(taken, free.size()).reversed()) {
      Sequence last = rows.removeLast();
      if (row != rows.size()) {
        buffers.move(rows.size(), row);
        rows.set(row, last);
      }
    }
  }

  private void begin(int row, Sequence sequence, int source, int index) {
    sequence.source = source;
    sequence.index = index;
    sequence.generated = 0;
    sequence.logProbabilities = new float[stop.limits()[source]];
    sequence.warped = warped ? new float[stop.limits()[source]] : null;
    int place = admission.admit(source, sequence.slot);
    buffers.start(
        row,
        startToken,
        sequence.slot * cache.slotTokens(),
        place * cache.sourceTokens(),
        admission.length(source),
        (firstSource + source) * STREAMS_PER_SOURCE + index);
  }
}
