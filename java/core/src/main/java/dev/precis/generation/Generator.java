package dev.precis.generation;

import dev.precis.io.InvalidInputException;
import dev.precis.ops.Ops;
import dev.precis.ops.Ops.LogitRules;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.DecoderCache;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.t5.T5Model.Rows;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;

/**
 * Turns source token ids into generated ones. A few sequences are decoded side by side; when one
 * ends, the next source takes its place, so that no step runs half empty. What a sequence becomes
 * does not depend on its neighbours: any batch size gives the same tokens.
 *
 * <p>Not for several threads. A thread that is interrupted leaves with a {@link
 * CancellationException} after the step it is in.
 */
public final class Generator implements AutoCloseable {
  private final T5Model model;
  private final Ops ops;
  private final Workspace lasting;
  private final Workspace passing;

  /** Hears of every token as it is chosen; not called by beam search, whose past can change. */
  @FunctionalInterface
  public interface TokenListener {
    /**
     * @param source index of the source
     * @param sequence which of its numReturnSequences
     * @param token the token's id
     */
    void token(int source, int sequence, int token);
  }

  /** Hears of every source whose results are complete, in the order in which they become so. */
  @FunctionalInterface
  public interface ResultListener {
    void done(int source, List<GeneratedTokens> results);
  }

  public Generator(T5Model model) {
    this.model = model;
    this.ops = model.ops();
    this.lasting = new Workspace(ops.context());
    this.passing = new Workspace(ops.context());
  }

  /**
   * Generates for every source.
   *
   * @param sources token ids, end token included
   * @param batchSize sources that are decoded side by side, at most
   * @param firstSource what the first source counts as when tokens are drawn: a run that is taken
   *     up at its n-th source draws as if it had not been interrupted
   * @param onToken may be null
   * @param onResult may be null
   * @return for each source, in order, numReturnSequences results, the best first
   * @throws InvalidInputException where a source is empty or has an id outside the vocabulary
   */
  public List<List<GeneratedTokens>> generate(
      List<int[]> sources,
      GenerationOptions options,
      int batchSize,
      long firstSource,
      TokenListener onToken,
      ResultListener onResult) {
    if (batchSize < 1) {
      throw new InvalidInputException("batch-size is " + batchSize + ", but must be >= 1.");
    }
    if (sources.isEmpty()) {
      return List.of();
    }
    lasting.reset();
    passing.reset();
    if (options.numBeams() > 1) {
      return new BeamSearch(model, lasting, passing, options)
          .generate(sources, batchSize, onResult);
    }
    return new Decoding(sources, options, batchSize, firstSource, onToken, onResult).run();
  }

  /**
   * Samples from what the encoder has made already: every source side by side, numReturnSequences
   * each, over one set of cross-attention keys and values. Draws the same tokens as {@link
   * #generate} does.
   *
   * @param encoded in memory that this call does not reuse
   * @param limits new tokens of each source, at most, in place of the options' maxNewTokens
   * @param firstSource see {@link #generate}
   * @return for each source, in order, numReturnSequences results
   */
  public List<List<SampledTokens>> sample(
      Encoded encoded, GenerationOptions options, int[] limits, long firstSource) {
    if (!options.sample()) {
      throw new IllegalArgumentException("These options do not sample.");
    }
    lasting.reset();
    passing.reset();
    return new Sampling(encoded, options, limits, firstSource).run();
  }

  /**
   * Takes the memory that {@link #sample} needs at most, all at once.
   *
   * @param sources side by side
   * @param longest tokens of each
   * @param each sequences of a source
   * @param newTokens of each sequence
   * @return bytes
   */
  public long reserve(int sources, int longest, int each, int newTokens) {
    int slots = Math.multiplyExact(sources, each);
    lasting.reset();
    lasting.resetPeak();
    DecoderCache cache = model.newCache(sources, longest, slots, newTokens, lasting);
    Buffers buffers = new Buffers(slots, newTokens + 1, model.config().vocabSize(), lasting);
    for (int slot = 0; slot < slots; slot++) {
      buffers.start(slot, model.config().decoderStartTokenId(), slot * newTokens, 0, 1, slot);
    }
    buffers.use(slots, false);
    passing.reset();
    passing.resetPeak();
    model.step(cache, buffers.rows(), buffers.logits(), passing);
    lasting.reserve(lasting.peak());
    passing.reserve(passing.peak());
    return lasting.peak() + passing.peak();
  }

  /** The most memory that was in use since {@link #reserve}, in bytes. */
  public long peak() {
    return lasting.peak() + passing.peak();
  }

  /** What {@link #sample} does. */
  private final class Sampling {
    private record Row(int source, int sequence, float[] logProbabilities, float[] warped) {}

    private final GenerationOptions options;
    private final int[] limits;
    private final DecoderCache cache;
    private final Buffers buffers;
    private final List<Row> rows = new ArrayList<>();
    private final List<List<SampledTokens>> results = new ArrayList<>();
    private final Steps steps = new Steps(ops.context());
    private final Runnable operations = this::step;

    Sampling(Encoded encoded, GenerationOptions options, int[] limits, long firstSource) {
      this.options = options;
      this.limits = limits;
      int sources = encoded.source().sequences();
      int each = options.numReturnSequences();
      int slots = Math.multiplyExact(sources, each);
      int most = 1;
      for (int limit : limits) {
        most = Math.max(most, limit);
      }
      cache = model.newCache(sources, encoded.source().longest(), slots, most, lasting);
      buffers = new Buffers(slots, most + 1, model.config().vocabSize(), lasting);
      buffers.endTokens(model.config().eosTokenId());
      for (int i = 0; i < sources; i++) {
        model.admit(encoded, i, cache, i);
        results.add(new ArrayList<>(Collections.nCopies(each, null)));
        for (int j = 0; j < each; j++) {
          int slot = rows.size();
          buffers.start(
              slot,
              model.config().decoderStartTokenId(),
              slot * cache.slotTokens(),
              i * cache.sourceTokens(),
              encoded.source().length(i),
              (firstSource + i) * 1024 + j);
          rows.add(new Row(i, j, new float[limits[i]], new float[limits[i]]));
        }
      }
    }

    List<List<SampledTokens>> run() {
      int end = model.config().eosTokenId();
      try (steps) {
        for (int step = 0; !rows.isEmpty(); step++) {
          checkInterrupt();
          buffers.use(rows.size(), false);
          passing.reset();
          steps.run(rows.size(), 0, operations);
          ops.context().settle();
          for (int row = rows.size() - 1; row >= 0; row--) {
            accept(row, step, end);
          }
        }
      }
      return results;
    }

    private void step() {
      model.step(cache, buffers.rows(), buffers.logits(), passing);
      ops.sample(
          buffers.logits(),
          buffers.rules(
              options.repetitionPenalty(), options.noRepeatNgramSize(), options.minNewTokens()),
          options.seed(),
          buffers.streams(),
          buffers.offsets(),
          options.temperature(),
          options.topK(),
          options.topP(),
          buffers.tokens(),
          buffers.logProbabilities(),
          buffers.warpedLogProbabilities(),
          null);
    }

    /** From the last row down: the row that takes a finished one's place has been seen to. */
    private void accept(int row, int step, int end) {
      Row own = rows.get(row);
      own.logProbabilities[step] = buffers.logProbability(row);
      own.warped[step] = buffers.warpedLogProbability(row);
      int token = buffers.append(row);
      if (token != end && step + 1 < limits[own.source]) {
        return;
      }
      results
          .get(own.source)
          .set(
              own.sequence,
              new SampledTokens(
                  buffers.history(row, 1, step + 1),
                  Arrays.copyOf(own.logProbabilities, step + 1),
                  Arrays.copyOf(own.warped, step + 1),
                  token == end));
      int last = rows.size() - 1;
      if (row != last) {
        buffers.move(last, row);
        rows.set(row, rows.get(last));
      }
      rows.remove(last);
    }
  }

  static void checkInterrupt() {
    if (Thread.interrupted()) {
      throw new CancellationException("Generation was interrupted.");
    }
  }

  /** A sequence that is being decoded, in row {@code row} of the step's matrices. */
  private static final class Lane {
    final int slot;
    int source;
    int sequence;
    int generated;
    float score;

    Lane(int slot) {
      this.slot = slot;
    }
  }

  /** Greedy decoding and sampling. */
  private final class Decoding {
    private final List<int[]> sources;
    private final GenerationOptions options;
    private final long firstSource;
    private final TokenListener onToken;
    private final ResultListener onResult;
    private final int perSource;
    private final int historyStride;
    private final List<List<GeneratedTokens>> results = new ArrayList<>();
    private final int[] missing;
    private final List<Lane> lanes = new ArrayList<>();
    private final DecoderCache cache;
    private final Buffers buffers;
    private final Steps steps = new Steps(ops.context());
    private final Runnable operations = this::step;
    private int nextSequence;

    Decoding(
        List<int[]> sources,
        GenerationOptions options,
        int batchSize,
        long firstSource,
        TokenListener onToken,
        ResultListener onResult) {
      this.sources = sources;
      this.options = options;
      this.firstSource = firstSource;
      this.onToken = onToken;
      this.onResult = onResult;
      perSource = options.numReturnSequences();
      missing = new int[sources.size()];
      int longest = 1;
      for (int i = 0; i < sources.size(); i++) {
        longest = Math.max(longest, sources.get(i).length);
        results.add(new ArrayList<>(Collections.nCopies(perSource, null)));
        missing[i] = perSource;
      }
      int slots = Math.min(Math.multiplyExact(batchSize, perSource), sources.size() * perSource);
      historyStride = options.maxNewTokens() + 1;
      cache = model.newCache(slots, longest, slots, options.maxNewTokens(), lasting);
      buffers = new Buffers(slots, historyStride, model.config().vocabSize(), lasting);
      buffers.endTokens(model.config().eosTokenId());
      for (int slot = 0; slot < slots; slot++) {
        lanes.add(new Lane(slot));
      }
    }

    List<List<GeneratedTokens>> run() {
      List<Integer> free = new ArrayList<>();
      for (int row = 0; row < lanes.size(); row++) {
        free.add(row);
      }
      try (steps) {
        fill(free);
        while (!lanes.isEmpty()) {
          checkInterrupt();
          buffers.use(lanes.size(), false);
          passing.reset();
          steps.run(lanes.size(), 0, operations);
          ops.context().settle();
          accept();
        }
      }
      return results;
    }

    /** Gives rows that have nothing to do the next sequences, or takes them away. */
    private void fill(List<Integer> free) {
      int total = sources.size() * perSource;
      int taken = Math.min(free.size(), total - nextSequence);
      if (taken > 0) {
        // Sequences of one source share one run of the encoder, but each its own place: they end
        // at different times.
        int fromSource = nextSequence / perSource;
        int lastSource = (nextSequence + taken - 1) / perSource;
        passing.reset();
        Ragged ragged =
            Ragged.of(
                sources.subList(fromSource, lastSource + 1), model.config().vocabSize(), passing);
        Encoded encoded = model.encode(ragged, passing);
        for (int i = 0; i < taken; i++) {
          int row = free.get(i);
          Lane lane = lanes.get(row);
          lane.source = nextSequence / perSource;
          lane.sequence = nextSequence % perSource;
          lane.generated = 0;
          lane.score = 0;
          nextSequence++;
          model.admit(encoded, lane.source - fromSource, cache, lane.slot);
          buffers.start(
              row,
              model.config().decoderStartTokenId(),
              lane.slot * cache.slotTokens(),
              lane.slot * cache.sourceTokens(),
              sources.get(lane.source).length,
              (firstSource + lane.source) * 1024 + lane.sequence);
        }
      }
      // From the last row down, so that the rows that move are not themselves free.
      for (int i = free.size() - 1; i >= taken; i--) {
        int row = free.get(i);
        int last = lanes.size() - 1;
        if (row != last) {
          buffers.move(last, row);
          lanes.set(row, lanes.get(last));
        }
        lanes.remove(last);
      }
    }

    private void step() {
      model.step(cache, buffers.rows(), buffers.logits(), passing);
      LogitRules rules =
          buffers.rules(
              options.repetitionPenalty(), options.noRepeatNgramSize(), options.minNewTokens());
      if (options.sample()) {
        ops.sample(
            buffers.logits(),
            rules,
            options.seed(),
            buffers.streams(),
            buffers.offsets(),
            options.temperature(),
            options.topK(),
            options.topP(),
            buffers.tokens(),
            buffers.logProbabilities(),
            null,
            null);
      } else {
        ops.greedy(buffers.logits(), rules, buffers.tokens(), buffers.logProbabilities());
      }
    }

    private void accept() {
      List<Integer> free = new ArrayList<>();
      int end = model.config().eosTokenId();
      for (int row = 0; row < lanes.size(); row++) {
        Lane lane = lanes.get(row);
        int token = buffers.append(row);
        lane.score += buffers.logProbability(row);
        lane.generated++;
        if (onToken != null) {
          onToken.token(lane.source, lane.sequence, token);
        }
        if (token == end || lane.generated == options.maxNewTokens()) {
          finish(row, lane, token == end);
          free.add(row);
        }
      }
      if (!free.isEmpty()) {
        fill(free);
      }
    }

    private void finish(int row, Lane lane, boolean ended) {
      List<GeneratedTokens> own = results.get(lane.source);
      own.set(
          lane.sequence,
          new GeneratedTokens(buffers.history(row, 1, lane.generated), lane.score, ended));
      if (--missing[lane.source] == 0 && onResult != null) {
        onResult.done(lane.source, own);
      }
    }
  }

  /** The matrices that a step reads and writes, for as many rows as are in use. */
  static final class Buffers {
    private final int historyStride;
    private final MemorySegment ids;
    private final MemorySegment keyStarts;
    private final MemorySegment lengths;
    private final MemorySegment crossStarts;
    private final MemorySegment crossLengths;
    private final MemorySegment history;
    private final MemorySegment streams;
    private final MemorySegment offsets;
    private final MemorySegment tokens;
    private final MemorySegment logProbabilities;
    private final MemorySegment warpedLogProbabilities;
    private final Tensor allLogits;
    private final Tensor ends;
    private Tensor ancestors;
    private int m = -1;
    private boolean beams;
    private Rows rows;
    private Tensor logits;
    private Tensor tokenRow;
    private Tensor streamRow;
    private Tensor offsetRow;
    private Tensor logProbabilityRow;
    private Tensor warpedLogProbabilityRow;
    private LogitRules rules;

    Buffers(int capacity, int historyStride, int vocabSize, Workspace workspace) {
      this.historyStride = historyStride;
      ids = ints(workspace, capacity);
      keyStarts = ints(workspace, capacity);
      lengths = ints(workspace, capacity);
      crossStarts = ints(workspace, capacity);
      crossLengths = ints(workspace, capacity);
      history = ints(workspace, (long) capacity * historyStride);
      streams = workspace.tensor(DType.INT64, capacity).memory();
      offsets = workspace.tensor(DType.INT64, capacity).memory();
      tokens = ints(workspace, capacity);
      logProbabilities = workspace.shared(DType.FLOAT32, capacity).memory();
      warpedLogProbabilities = workspace.shared(DType.FLOAT32, capacity).memory();
      allLogits = workspace.tensor(DType.FLOAT32, capacity, vocabSize);
      ends = workspace.tensor(DType.INT32, 1);
    }

    private static MemorySegment ints(Workspace workspace, long n) {
      return workspace.tensor(DType.INT32, n).memory();
    }

    void endTokens(int end) {
      ends.memory().setAtIndex(ValueLayout.JAVA_INT, 0, end);
    }

    /** With beams: in which slot each position of each row was computed. */
    void ancestors(Tensor table) {
      ancestors = table;
      m = -1;
    }

    /** Makes the views for the first m rows, where they are not those already. */
    void use(int m, boolean beams) {
      if (this.m == m && this.beams == beams) {
        return;
      }
      this.m = m;
      this.beams = beams;
      rows =
          new Rows(
              vector(ids),
              vector(keyStarts),
              vector(lengths),
              vector(crossStarts),
              vector(crossLengths),
              beams ? ancestors.rows(0, m) : null);
      logits = allLogits.rows(0, m);
      tokenRow = vector(tokens);
      streamRow = Tensor.of(streams, DType.INT64, m);
      offsetRow = Tensor.of(offsets, DType.INT64, m);
      logProbabilityRow = Tensor.of(logProbabilities, DType.FLOAT32, m);
      warpedLogProbabilityRow = Tensor.of(warpedLogProbabilities, DType.FLOAT32, m);
      rules = null;
    }

    private Tensor vector(MemorySegment memory) {
      return Tensor.of(memory, DType.INT32, m);
    }

    Rows rows() {
      return rows;
    }

    Tensor logits() {
      return logits;
    }

    Tensor tokens() {
      return tokenRow;
    }

    Tensor streams() {
      return streamRow;
    }

    Tensor offsets() {
      return offsetRow;
    }

    Tensor logProbabilities() {
      return logProbabilityRow;
    }

    Tensor warpedLogProbabilities() {
      return warpedLogProbabilityRow;
    }

    LogitRules rules(float repetitionPenalty, int noRepeatNgramSize, int minNewTokens) {
      if (rules == null) {
        rules =
            new LogitRules(
                Tensor.of(history, DType.INT32, m, historyStride),
                vector(lengths),
                ends,
                repetitionPenalty,
                noRepeatNgramSize,
                minNewTokens);
      }
      return rules;
    }

    /** Begins a sequence in a row. */
    void start(
        int row, int startToken, int keyStart, int crossStart, int crossLength, long stream) {
      ids.setAtIndex(ValueLayout.JAVA_INT, row, startToken);
      history.setAtIndex(ValueLayout.JAVA_INT, (long) row * historyStride, startToken);
      keyStarts.setAtIndex(ValueLayout.JAVA_INT, row, keyStart);
      lengths.setAtIndex(ValueLayout.JAVA_INT, row, 1);
      crossStarts.setAtIndex(ValueLayout.JAVA_INT, row, crossStart);
      crossLengths.setAtIndex(ValueLayout.JAVA_INT, row, crossLength);
      streams.setAtIndex(ValueLayout.JAVA_LONG, row, stream);
      offsets.setAtIndex(ValueLayout.JAVA_LONG, row, 0);
    }

    /** Adds the token that was chosen for a row to what it reads next; returns it. */
    int append(int row) {
      int token = tokens.getAtIndex(ValueLayout.JAVA_INT, row);
      append(row, token);
      return token;
    }

    void append(int row, int token) {
      int length = lengths.getAtIndex(ValueLayout.JAVA_INT, row);
      history.setAtIndex(ValueLayout.JAVA_INT, (long) row * historyStride + length, token);
      ids.setAtIndex(ValueLayout.JAVA_INT, row, token);
      lengths.setAtIndex(ValueLayout.JAVA_INT, row, length + 1);
      offsets.setAtIndex(ValueLayout.JAVA_LONG, row, length);
    }

    float logProbability(int row) {
      return logProbabilities.getAtIndex(ValueLayout.JAVA_FLOAT, row);
    }

    float warpedLogProbability(int row) {
      return warpedLogProbabilities.getAtIndex(ValueLayout.JAVA_FLOAT, row);
    }

    int[] history(int row, int from, int count) {
      int[] copy = new int[count];
      MemorySegment.copy(
          history, ValueLayout.JAVA_INT, ((long) row * historyStride + from) * 4, copy, 0, count);
      return copy;
    }

    /** Row {@code to} becomes what row {@code from} is. */
    void move(int from, int to) {
      for (MemorySegment each :
          new MemorySegment[] {ids, keyStarts, lengths, crossStarts, crossLengths}) {
        each.setAtIndex(ValueLayout.JAVA_INT, to, each.getAtIndex(ValueLayout.JAVA_INT, from));
      }
      for (MemorySegment each : new MemorySegment[] {streams, offsets}) {
        each.setAtIndex(ValueLayout.JAVA_LONG, to, each.getAtIndex(ValueLayout.JAVA_LONG, from));
      }
      MemorySegment.copy(
          history,
          (long) from * historyStride * 4,
          history,
          (long) to * historyStride * 4,
          historyStride * 4L);
    }

    /** Replaces a row's tokens, for beams. */
    void setHistory(int row, int[] sequence, int count) {
      MemorySegment.copy(
          sequence, 0, history, ValueLayout.JAVA_INT, (long) row * historyStride * 4, count);
      ids.setAtIndex(ValueLayout.JAVA_INT, row, sequence[count - 1]);
      lengths.setAtIndex(ValueLayout.JAVA_INT, row, count);
    }
  }

  @Override
  public void close() {
    lasting.close();
    passing.close();
  }
}
