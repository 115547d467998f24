package dev.precis.generation;

import dev.precis.ops.LogitRules;
import dev.precis.ops.NextRows;
import dev.precis.ops.Ops;
import dev.precis.ops.RowRules;
import dev.precis.ops.RowSampling;
import dev.precis.t5.T5Model.Rows;
import dev.precis.tensor.DType;
import dev.precis.tensor.MirroredMemory;
import dev.precis.tensor.MirroredMemory.Array;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * The memory that decoding steps read and write, for as many rows as are in use: what each row
 * reads, its history, its options, the logits and the tokens that are chosen. The host writes and
 * reads the rows between steps. On a GPU they are there as well: {@link #upload} brings them there
 * after the host has changed them, the choice of tokens advances them, and {@link #download} brings
 * back what was chosen.
 */
final class DecodeBuffers {
  private final int capacity;
  private final int historyStride;
  private final boolean onGpu;
  private final MirroredMemory rowMemory;
  private final Array idArray;
  private final Array keyStartArray;
  private final Array lengthArray;
  private final Array crossStartArray;
  private final Array crossLengthArray;
  private final Array streamArray;
  private final Array offsetArray;
  private final Array historyArray;
  private final MirroredMemory resultMemory;
  private final Array tokenArray;
  private final Array logProbabilityArray;
  private final Array warpedArray;
  private final Array logitArray; // null where the host changes no scores
  private final Array originalArray; // null where nothing reads them
  private final int alternatives; // of each row
  private final Array alternativeArray; // null without alternatives
  private final Array alternativeLogArray;
  private final Tensor allLogits;
  private final Tensor allOriginals;
  private final Tensor endTokens;
  private final RowRules rowRules;
  private final RowSampling rowSampling;
  private Tensor ancestors; // null without beams

  // The host's memory of the arrays.
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

  // Views of the first m rows.
  private int m = -1;
  private Rows rows;
  private Tensor logits;
  private Tensor originals;

  /**
   * Allocates the buffers.
   *
   * @param capacity the most rows
   * @param newTokens the most new tokens of a row
   * @param endTokens ids of the end tokens, which the logit rules refer to
   * @param onHost whether the host changes scores between the model and the choice
   * @param originals whether the log-probabilities that the model gave are needed
   * @param alternatives the most probable tokens that are brought back for each row
   * @param onGpu whether operations run on a GPU
   * @param workspace owns the memory; it must not be reset while the buffers are in use
   */
  DecodeBuffers(
      int capacity,
      int newTokens,
      int vocabSize,
      List<Integer> endTokens,
      boolean onHost,
      boolean originals,
      int alternatives,
      boolean onGpu,
      Workspace workspace) {
    this.capacity = capacity;
    this.onGpu = onGpu;
    this.alternatives = alternatives;
    historyStride = newTokens + 1; // the start token included
    long histories = (long) capacity * historyStride;
    rowMemory =
        new MirroredMemory(
            5 * MirroredMemory.size(DType.INT32, capacity)
                + 2 * MirroredMemory.size(DType.INT64, capacity)
                + RowRules.bytes(capacity)
                + RowSampling.bytes(capacity)
                + MirroredMemory.size(DType.INT32, histories),
            workspace);
    idArray = rowMemory.take(DType.INT32, capacity);
    keyStartArray = rowMemory.take(DType.INT32, capacity);
    lengthArray = rowMemory.take(DType.INT32, capacity);
    crossStartArray = rowMemory.take(DType.INT32, capacity);
    crossLengthArray = rowMemory.take(DType.INT32, capacity);
    streamArray = rowMemory.take(DType.INT64, capacity);
    offsetArray = rowMemory.take(DType.INT64, capacity);
    rowRules = new RowRules(capacity, rowMemory);
    rowSampling = new RowSampling(capacity, rowMemory);
    historyArray = rowMemory.take(DType.INT32, histories); // the last: upload ends in it
    long allAlternatives = (long) capacity * alternatives;
    resultMemory =
        new MirroredMemory(
            MirroredMemory.size(DType.INT32, capacity)
                + 2 * MirroredMemory.size(DType.FLOAT32, capacity)
                + MirroredMemory.size(DType.INT32, allAlternatives)
                + MirroredMemory.size(DType.FLOAT32, allAlternatives),
            workspace);
    tokenArray = resultMemory.take(DType.INT32, capacity);
    logProbabilityArray = resultMemory.take(DType.FLOAT32, capacity);
    warpedArray = resultMemory.take(DType.FLOAT32, capacity);
    boolean any = alternatives > 0;
    alternativeArray = any ? resultMemory.take(DType.INT32, allAlternatives) : null;
    alternativeLogArray = any ? resultMemory.take(DType.FLOAT32, allAlternatives) : null;
    long scores = (long) capacity * vocabSize;
    logitArray = onHost ? scores(scores, workspace) : null;
    originalArray = originals ? scores(scores, workspace) : null;
    allLogits =
        onHost
            ? logitArray.tensor(0, capacity, vocabSize)
            : workspace.tensor(DType.FLOAT32, capacity, vocabSize);
    allOriginals = originals ? originalArray.tensor(0, capacity, vocabSize) : null;
    this.endTokens = workspace.device(DType.INT32, endTokens.size());
    this.endTokens.write(
        to -> {
          for (int i = 0; i < endTokens.size(); i++) {
            to.setAtIndex(ValueLayout.JAVA_INT, i, endTokens.get(i));
          }
        });
    ids = idArray.host();
    keyStarts = keyStartArray.host();
    lengths = lengthArray.host();
    crossStarts = crossStartArray.host();
    crossLengths = crossLengthArray.host();
    history = historyArray.host();
    streams = streamArray.host();
    offsets = offsetArray.host();
    tokens = tokenArray.host();
    logProbabilities = logProbabilityArray.host();
    warpedLogProbabilities = warpedArray.host();
  }

  private static Array scores(long count, Workspace workspace) {
    return new MirroredMemory(MirroredMemory.size(DType.FLOAT32, count), workspace)
        .take(DType.FLOAT32, count);
  }

  /** Returns the most rows. */
  int capacity() {
    return capacity;
  }

  /** Returns the most new tokens of a row. */
  int newTokens() {
    return historyStride - 1;
  }

  /** Returns whether the host may change scores between the model and the choice. */
  boolean onHost() {
    return logitArray != null;
  }

  /** Returns how many of the most probable tokens are brought back for each row. */
  int alternatives() {
    return alternatives;
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
            idArray.tensor(0, m),
            keyStartArray.tensor(0, m),
            lengthArray.tensor(0, m),
            crossStartArray.tensor(0, m),
            crossLengthArray.tensor(0, m),
            ancestors == null ? null : ancestors.rows(0, m));
    logits = allLogits.rows(0, m);
    originals = allOriginals == null ? null : allOriginals.rows(0, m);
  }

  /** Brings the first rows to the GPU, after the host has changed them. */
  void upload(int rows) {
    rowMemory.upload(historyArray.begin() + (long) rows * historyStride * 4);
  }

  /** Brings what was chosen to the host, after all operations before. */
  void download() {
    resultMemory.download();
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
   * Returns memory for the log-probabilities that the model gave before rules changed the scores,
   * (m, vocabulary) float32; null for beams, and where neither the host changes scores nor
   * alternatives are wanted.
   */
  Tensor originals() {
    return originals;
  }

  /**
   * Rows whose tokens are chosen by the same rules and parameters.
   *
   * @param begin the first of them
   * @param logits (rows, vocabulary) float32
   * @param originals likewise, see {@link DecodeBuffers#originals}; or null
   * @param rules of the options
   * @param noRules rules that change nothing
   * @param tokens (rows) int32, which the step chooses
   * @param streams (rows) int64: their streams of random numbers
   * @param offsets (rows) int64: their positions in those
   * @param logProbabilities (rows) float32, of the chosen tokens
   * @param warpedLogProbabilities (rows) float32, in the distribution that was sampled from
   * @param next where a GPU appends the tokens; null on the CPU, where the host does
   */
  record Part(
      int begin,
      Tensor logits,
      Tensor originals,
      LogitRules rules,
      LogitRules noRules,
      Tensor tokens,
      Tensor streams,
      Tensor offsets,
      Tensor logProbabilities,
      Tensor warpedLogProbabilities,
      NextRows next) {}

  /** Returns rows {@code [begin, begin + count)} of the present ones, with the rules of options. */
  Part part(int begin, int count, GenerationOptions options) {
    LogitRules rules =
        new LogitRules(
            past(begin, count),
            lengthArray.tensor(begin, count),
            endTokens,
            options.repetitionPenalty(),
            options.noRepeatNgramSize(),
            options.minNewTokens());
    return part(begin, count, rules);
  }

  /** Returns the present rows, with the rules that {@link #rowRules} has for each. */
  Part mixed() {
    LogitRules rules = new LogitRules(past(0, m), lengthArray.tensor(0, m), endTokens, rowRules);
    return part(0, m, rules);
  }

  /** Returns the rules of each row, for {@link #mixed}. */
  RowRules rowRules() {
    return rowRules;
  }

  /** Returns each row's parameters of sampling, for {@link #mixed}. */
  RowSampling rowSampling() {
    return rowSampling;
  }

  private Tensor past(int begin, int count) {
    return historyArray.tensor((long) begin * historyStride, count, historyStride);
  }

  private Part part(int begin, int count, LogitRules rules) {
    LogitRules noRules =
        new LogitRules(rules.history(), rules.historyLengths(), endTokens, 1, 0, 0);
    Tensor offsets = offsetArray.tensor(begin, count);
    NextRows next =
        onGpu
            ? new NextRows(
                idArray.tensor(begin, count), rules.historyLengths(), rules.history(), offsets)
            : null;
    return new Part(
        begin,
        logits.rows(begin, count),
        originals == null ? null : originals.rows(begin, count),
        rules,
        noRules,
        tokenArray.tensor(begin, count),
        streamArray.tensor(begin, count),
        offsets,
        logProbabilityArray.tensor(begin, count),
        warpedArray.tensor(begin, count),
        next);
  }

  /** Finds the alternatives of the present rows, before rules change their scores. */
  void findAlternatives(Ops ops) {
    ops.softmax(logits, originals, true);
    ops.topK(
        originals,
        alternativeLogArray.tensor(0, m, alternatives),
        alternativeArray.tensor(0, m, alternatives));
  }

  /** Returns the most probable tokens of a row, {@code count} of them at most. */
  int[] alternativeTokens(int row, int count) {
    int[] copy = new int[Math.min(count, alternatives)];
    long at = (long) row * alternatives * 4;
    MemorySegment.copy(alternativeArray.host(), ValueLayout.JAVA_INT, at, copy, 0, copy.length);
    return copy;
  }

  /** Returns their log-probabilities, as the model has them. */
  float[] alternativeLogProbabilities(int row, int count) {
    float[] copy = new float[Math.min(count, alternatives)];
    long at = (long) row * alternatives * 4;
    MemorySegment.copy(
        alternativeLogArray.host(), ValueLayout.JAVA_FLOAT, at, copy, 0, copy.length);
    return copy;
  }

  /** Brings the scores of rows to the host, which changes them. */
  void downloadLogits(Part part) {
    long width = logits.columns();
    logitArray.download(part.begin() * width, part.logits().rows() * width);
  }

  /** Brings the scores of rows that the host has changed back to the GPU. */
  void uploadLogits(Part part) {
    long width = logits.columns();
    logitArray.upload(part.begin() * width, part.logits().rows() * width);
  }

  /** Brings the log-probabilities that the model gave to the host. */
  void downloadOriginals(Part part) {
    long width = logits.columns();
    originalArray.download(part.begin() * width, part.logits().rows() * width);
  }

  /** Returns the host's scores of all rows, (rows, vocabulary) float32, where it changes them. */
  MemorySegment hostLogits() {
    return logitArray.host();
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
    lengths.setAtIndex(ValueLayout.JAVA_INT, row, 1);
    place(row, keyStart, crossStart);
    crossLengths.setAtIndex(ValueLayout.JAVA_INT, row, crossLength);
    streams.setAtIndex(ValueLayout.JAVA_LONG, row, stream);
    offsets.setAtIndex(ValueLayout.JAVA_LONG, row, 0);
  }

  /** Sets where a row's keys and values are. */
  void place(int row, int keyStart, int crossStart) {
    keyStarts.setAtIndex(ValueLayout.JAVA_INT, row, keyStart);
    crossStarts.setAtIndex(ValueLayout.JAVA_INT, row, crossStart);
  }

  /**
   * Appends a token to what a row reads next. A GPU has done the same to its own memory with the
   * token that it chose.
   */
  void append(int row, int token) {
    int length = lengths.getAtIndex(ValueLayout.JAVA_INT, row);
    history.setAtIndex(ValueLayout.JAVA_INT, (long) row * historyStride + length, token);
    ids.setAtIndex(ValueLayout.JAVA_INT, row, token);
    lengths.setAtIndex(ValueLayout.JAVA_INT, row, length + 1);
    offsets.setAtIndex(ValueLayout.JAVA_LONG, row, length);
  }

  /** Returns the token that was chosen for a row. */
  int token(int row) {
    return tokens.getAtIndex(ValueLayout.JAVA_INT, row);
  }

  /** Returns the tokens of a row so far, the start token first. */
  int[] history(int row) {
    return history(row, 0, lengths.getAtIndex(ValueLayout.JAVA_INT, row));
  }

  /** Replaces the log-probability of the token chosen for a row by that of {@link #originals}. */
  void useOriginalLogProbability(int row) {
    long at = row * originals.columns() + tokens.getAtIndex(ValueLayout.JAVA_INT, row);
    float value = originalArray.host().getAtIndex(ValueLayout.JAVA_FLOAT, at);
    logProbabilities.setAtIndex(ValueLayout.JAVA_FLOAT, row, value);
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

  /**
   * Copies rows of these or of smaller buffers, which may overlap.
   *
   * @param source with rows no longer than these
   */
  void copy(DecodeBuffers source, int from, int to, int count) {
    copy(source.ids, from, ids, to, count, 4);
    copy(source.keyStarts, from, keyStarts, to, count, 4);
    copy(source.lengths, from, lengths, to, count, 4);
    copy(source.crossStarts, from, crossStarts, to, count, 4);
    copy(source.crossLengths, from, crossLengths, to, count, 4);
    copy(source.streams, from, streams, to, count, 8);
    copy(source.offsets, from, offsets, to, count, 8);
    if (source == this) {
      copy(history, from, history, to, count, historyStride * 4L);
      return;
    }
    for (int i = 0; i < count; i++) {
      long bytes = source.historyStride * 4L;
      MemorySegment.copy(
          source.history, (from + i) * bytes, history, (to + i) * historyStride * 4L, bytes);
    }
  }

  private static void copy(
      MemorySegment source, long from, MemorySegment target, long to, long count, long bytes) {
    MemorySegment.copy(source, from * bytes, target, to * bytes, count * bytes);
  }
}
