package dev.precis.generation;

import dev.precis.ops.LogitRules;
import dev.precis.t5.T5Model.Rows;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * The memory that decoding steps read and write, for as many rows as are in use: what each row
 * reads, its history, the logits and the tokens that are chosen. The host writes and reads the rows
 * between steps.
 */
final class DecodeBuffers {
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
  private final Tensor allOriginals; // null where nothing reads them
  private final Tensor endTokens;
  private Tensor ancestors; // null without beams

  // Views of the first m rows.
  private int m = -1;
  private Rows rows;
  private Tensor logits;
  private Tensor originals;
  private Tensor tokenRow;
  private Tensor streamRow;
  private Tensor offsetRow;
  private Tensor logProbabilityRow;
  private Tensor warpedLogProbabilityRow;
  private LogitRules rules;
  private LogitRules noRules;

  /**
   * Allocates the buffers.
   *
   * @param capacity the most rows
   * @param newTokens the most new tokens of a row
   * @param endTokens ids of the end tokens, which the logit rules refer to
   * @param options say whether the host changes scores between the model and the choice
   * @param workspace owns the memory; it must not be reset while the buffers are in use
   */
  DecodeBuffers(
      int capacity,
      int newTokens,
      int vocabSize,
      List<Integer> endTokens,
      GenerationOptions options,
      Workspace workspace) {
    historyStride = newTokens + 1; // the start token included
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
    boolean onHost = !options.tokenRules().isEmpty();
    allLogits =
        onHost
            ? workspace.shared(DType.FLOAT32, capacity, vocabSize)
            : workspace.tensor(DType.FLOAT32, capacity, vocabSize);
    // The score of a beam is that after the rules.
    allOriginals =
        onHost && options.numBeams() == 1
            ? workspace.shared(DType.FLOAT32, capacity, vocabSize)
            : null;
    this.endTokens = workspace.tensor(DType.INT32, endTokens.size());
    for (int i = 0; i < endTokens.size(); i++) {
      this.endTokens.memory().setAtIndex(ValueLayout.JAVA_INT, i, endTokens.get(i));
    }
  }

  private static MemorySegment ints(Workspace workspace, long n) {
    return workspace.tensor(DType.INT32, n).memory();
  }

  /**
   * Sets the table of ancestors, which beams look their past up in.
   *
   * @param table (rows, newTokens) int32: the slot in which each position of each row was computed
   */
  void ancestors(Tensor table) {
    ancestors = table;
    m = -1;
  }

  /** Returns the address of the table of ancestors; 0 without beams. */
  long ancestorsAddress() {
    return ancestors == null ? 0 : ancestors.address().address();
  }

  /** Makes the views of the first m rows, unless they are the present ones. */
  void use(int m) {
    if (this.m == m) {
      return;
    }
    this.m = m;
    rows =
        new Rows(
            vector(ids),
            vector(keyStarts),
            vector(lengths),
            vector(crossStarts),
            vector(crossLengths),
            ancestors == null ? null : ancestors.rows(0, m));
    logits = allLogits.rows(0, m);
    originals = allOriginals == null ? null : allOriginals.rows(0, m);
    tokenRow = vector(tokens);
    streamRow = Tensor.of(streams, DType.INT64, m);
    offsetRow = Tensor.of(offsets, DType.INT64, m);
    logProbabilityRow = Tensor.of(logProbabilities, DType.FLOAT32, m);
    warpedLogProbabilityRow = Tensor.of(warpedLogProbabilities, DType.FLOAT32, m);
    rules = null;
    noRules = null;
  }

  private Tensor vector(MemorySegment memory) {
    return Tensor.of(memory, DType.INT32, m);
  }

  /** Returns what the model reads in this step. */
  Rows rows() {
    return rows;
  }

  /** Returns the logits of this step, (m, vocabulary) float32. */
  Tensor logits() {
    return logits;
  }

  /**
   * Returns memory for the log-probabilities that the model gave before the host changed the
   * scores, (m, vocabulary) float32; null for beams, and where the host changes none.
   */
  Tensor originals() {
    return originals;
  }

  /** Returns the tokens that this step chooses, (m) int32. */
  Tensor tokens() {
    return tokenRow;
  }

  /** Returns the stream of random numbers of each row, (m) int64. */
  Tensor streams() {
    return streamRow;
  }

  /** Returns the position of each row in its stream, (m) int64. */
  Tensor offsets() {
    return offsetRow;
  }

  /** Returns the log-probabilities of the chosen tokens, (m) float32. */
  Tensor logProbabilities() {
    return logProbabilityRow;
  }

  /** Returns their log-probabilities in the distribution that was sampled from, (m) float32. */
  Tensor warpedLogProbabilities() {
    return warpedLogProbabilityRow;
  }

  /** Returns the rules that are applied to this step's logits; always the same options' rules. */
  LogitRules rules(GenerationOptions options) {
    if (rules == null) {
      rules =
          rules(options.repetitionPenalty(), options.noRepeatNgramSize(), options.minNewTokens());
    }
    return rules;
  }

  /** Returns rules that change nothing. */
  LogitRules noRules() {
    if (noRules == null) {
      noRules = rules(1, 0, 0);
    }
    return noRules;
  }

  private LogitRules rules(float repetitionPenalty, int noRepeatNgramSize, int minNewTokens) {
    return new LogitRules(
        Tensor.of(history, DType.INT32, m, historyStride),
        vector(lengths),
        endTokens,
        repetitionPenalty,
        noRepeatNgramSize,
        minNewTokens);
  }

  /**
   * Begins a sequence in a row.
   *
   * @param keyStart first row of its own keys and values in the cache
   * @param crossStart first row of its source's keys and values
   * @param crossLength tokens of its source
   * @param stream its stream of random numbers
   */
  void start(int row, int startToken, int keyStart, int crossStart, int crossLength, long stream) {
    ids.setAtIndex(ValueLayout.JAVA_INT, row, startToken);
    history.setAtIndex(ValueLayout.JAVA_INT, (long) row * historyStride, startToken);
    keyStarts.setAtIndex(ValueLayout.JAVA_INT, row, keyStart);
    lengths.setAtIndex(ValueLayout.JAVA_INT, row, 1);
    crossStarts.setAtIndex(ValueLayout.JAVA_INT, row, crossStart);
    crossLengths.setAtIndex(ValueLayout.JAVA_INT, row, crossLength);
    streams.setAtIndex(ValueLayout.JAVA_LONG, row, stream);
    offsets.setAtIndex(ValueLayout.JAVA_LONG, row, 0);
  }

  /** Appends the token that was chosen for a row to what it reads next, and returns it. */
  int append(int row) {
    int token = tokens.getAtIndex(ValueLayout.JAVA_INT, row);
    int length = lengths.getAtIndex(ValueLayout.JAVA_INT, row);
    history.setAtIndex(ValueLayout.JAVA_INT, (long) row * historyStride + length, token);
    ids.setAtIndex(ValueLayout.JAVA_INT, row, token);
    lengths.setAtIndex(ValueLayout.JAVA_INT, row, length + 1);
    offsets.setAtIndex(ValueLayout.JAVA_LONG, row, length);
    return token;
  }

  /** Returns the tokens of a row so far, the start token first. */
  int[] history(int row) {
    return history(row, 0, lengths.getAtIndex(ValueLayout.JAVA_INT, row));
  }

  /** Replaces the log-probabilities of the chosen tokens by those of {@link #originals}. */
  void useOriginalLogProbabilities() {
    MemorySegment all = originals.memory();
    long columns = originals.columns();
    for (int row = 0; row < m; row++) {
      int token = tokens.getAtIndex(ValueLayout.JAVA_INT, row);
      float value = all.getAtIndex(ValueLayout.JAVA_FLOAT, row * columns + token);
      logProbabilities.setAtIndex(ValueLayout.JAVA_FLOAT, row, value);
    }
  }

  /** Returns the log-probability of the token that was chosen for a row. */
  float logProbability(int row) {
    return logProbabilities.getAtIndex(ValueLayout.JAVA_FLOAT, row);
  }

  /** Returns its log-probability in the distribution that was sampled from. */
  float warpedLogProbability(int row) {
    return warpedLogProbabilities.getAtIndex(ValueLayout.JAVA_FLOAT, row);
  }

  /** Returns {@code count} tokens of a row's history; its first token is the start token. */
  int[] history(int row, int from, int count) {
    int[] copy = new int[count];
    long at = ((long) row * historyStride + from) * 4;
    MemorySegment.copy(history, ValueLayout.JAVA_INT, at, copy, 0, count);
    return copy;
  }

  /** Replaces a row's history, for beams. */
  void setHistory(int row, int[] sequence, int count) {
    long at = (long) row * historyStride * 4;
    MemorySegment.copy(sequence, 0, history, ValueLayout.JAVA_INT, at, count);
    ids.setAtIndex(ValueLayout.JAVA_INT, row, sequence[count - 1]);
    lengths.setAtIndex(ValueLayout.JAVA_INT, row, count);
  }

  /** Copies a row over another one. */
  void move(int from, int to) {
    for (MemorySegment each :
        new MemorySegment[] {ids, keyStarts, lengths, crossStarts, crossLengths}) {
      each.setAtIndex(ValueLayout.JAVA_INT, to, each.getAtIndex(ValueLayout.JAVA_INT, from));
    }
    for (MemorySegment each : new MemorySegment[] {streams, offsets}) {
      each.setAtIndex(ValueLayout.JAVA_LONG, to, each.getAtIndex(ValueLayout.JAVA_LONG, from));
    }
    long stride = historyStride * 4L;
    MemorySegment.copy(history, from * stride, history, to * stride, stride);
  }
}
