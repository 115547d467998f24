package dev.precis.generation;

import dev.precis.generation.RowRanges.Range;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.t5.T5Weights.Adapters;
import java.util.ArrayList;
import java.util.List;

/**
 * A request on its way through the model: it hands out its sequences one after another,
 * numReturnSequences of each source.
 */
final class RunningRequest {
  /** Streams of random numbers that belong to one source, one for each of its sequences. */
  private static final long STREAMS_PER_SOURCE = 1024;

  /** Receives the sequences as they are decoded, and the end of the request if it fails. */
  interface Listener {
    /** Returns whether the request is still wanted, as its first sequence is about to begin. */
    boolean begins();

    /** Receives a token that was chosen for a sequence of a source. */
    void token(int source, int sequence, int token, float logProbability);

    /** Receives the alternatives to the next token of a sequence, where the options ask for any. */
    default void alternatives(int source, int sequence, int[] tokens, float[] logProbabilities) {}

    /**
     * Receives a complete sequence.
     *
     * @param result its warped log-probabilities are null unless they were asked for
     */
    void finished(int source, int sequence, SampledTokens result);

    /** Receives the results of a source's beams, the best first. */
    void found(int source, List<GeneratedTokens> results);

    /** Receives the reason why the request ends without its other sequences. */
    void failed(Throwable reason);
  }

  /** Keys and values of a source, which its sequences share. */
  static final class Source {
    private final int index;
    private final Range rows;
    private int sequences; // that have not finished

    private Source(int index, Range rows, int sequences) {
      this.index = index;
      this.rows = rows;
      this.sequences = sequences;
    }

    /** Returns where they are in the cache. */
    Range rows() {
      return rows;
    }

    /** Returns the index of the source in its request. */
    int index() {
      return index;
    }

    /** Says that a sequence has finished; returns true after the last one. */
    boolean finish() {
      return --sequences == 0;
    }
  }

  private final List<int[]> sources;
  private final Encoded encoded; // null where the sources are yet to be encoded
  private final GenerationOptions options;
  private final StopRules stop;
  private final long firstSource;
  private final int batchSize;
  private final int mostRows;
  private final boolean warped;
  private final Adapters adapters;
  private final Listener listener;
  private final TokenRuleScores tokenRules; // null without such rules
  private final Interruption interruption;
  private final List<Source> admitted = new ArrayList<>();
  private final int total;
  private int next;
  private int rows;

  /**
   * Takes a request.
   *
   * @param encoded the sources' encodings where the caller has made them, else null
   * @param stop the limits of each source
   * @param batchSize the most sources that are decoded at the same time
   * @param firstSource index that the first source counts as when tokens are sampled
   * @param warped whether the log-probabilities of the warped distribution are wanted
   * @param adapters null: those that are on the weights
   */
  RunningRequest(
      List<int[]> sources,
      Encoded encoded,
      GenerationOptions options,
      StopRules stop,
      int batchSize,
      long firstSource,
      boolean warped,
      Adapters adapters,
      Interruption interruption,
      Listener listener) {
    this.sources = sources;
    this.encoded = encoded;
    this.options = options;
    this.stop = stop;
    this.firstSource = firstSource;
    this.warped = warped;
    this.adapters = adapters;
    this.interruption = interruption;
    this.listener = listener;
    this.batchSize = batchSize;
    int each = options.numReturnSequences();
    total = sources.size() * each;
    mostRows = (int) Math.min((long) batchSize * each, total);
    tokenRules = TokenRuleScores.of(options, stop, sources::get);
  }

  GenerationOptions options() {
    return options;
  }

  Listener listener() {
    return listener;
  }

  Interruption interruption() {
    return interruption;
  }

  /** Returns the adapters; null: those that are on the weights. */
  Adapters adapters() {
    return adapters;
  }

  /** Returns the rules that the host applies, or null. */
  TokenRuleScores tokenRules() {
    return tokenRules;
  }

  /** Returns the sources' encodings where the caller has made them, else null. */
  Encoded encoded() {
    return encoded;
  }

  /** Returns whether the log-probabilities of the warped distribution are wanted. */
  boolean warped() {
    return warped;
  }

  /** Returns the most sources that are decoded at the same time. */
  int batchSize() {
    return batchSize;
  }

  /** Returns the rules that end its sequences. */
  StopRules stop() {
    return stop;
  }

  /** Returns the most rows that the request takes at the same time. */
  int mostRows() {
    return mostRows;
  }

  /** Returns the most new tokens of a source's sequences. */
  int limit(int source) {
    return stop.limits()[source];
  }

  /** Returns true if a sequence is complete whose newest token, its n-th, is this one. */
  boolean stops(int source, int generated, int token) {
    return stop.stops(source, generated, token);
  }

  /** Returns true if this is an end token. */
  boolean ends(int token) {
    return stop.ends(token);
  }

  /** Returns the stream of random numbers of a sequence. */
  long stream(int source, int sequence) {
    return (firstSource + source) * STREAMS_PER_SOURCE + sequence;
  }

  /** Returns the tokens of a source. */
  int[] tokens(int source) {
    return sources.get(source);
  }

  /** Returns the number of tokens of the longest source. */
  int longest() {
    return sources.stream().mapToInt(source -> source.length).reduce(1, Math::max);
  }

  /** Returns the largest limit. */
  int longestLimit() {
    return stop.longest();
  }

  /** Returns the number of sources. */
  int sources() {
    return sources.size();
  }

  /** Returns whether a sequence has yet to begin. */
  boolean hasNext() {
    return next < total;
  }

  /** Returns the rows that its sequences have. */
  int rows() {
    return rows;
  }

  /** Returns the source of the next sequence. */
  int nextSource() {
    return next / options.numReturnSequences();
  }

  /** Returns the next sequence's number among those of its source. */
  int nextSequence() {
    return next % options.numReturnSequences();
  }

  /** Says that the next source has its place in the cache. */
  void admit(Range range) {
    admitted.add(new Source(nextSource(), range, options.numReturnSequences()));
  }

  /** Takes the next sequence, whose source has been admitted, and returns that. */
  Source begin() {
    next++;
    rows++;
    return admitted.getLast();
  }

  /** Says that a sequence has left the batch. */
  void leave() {
    rows--;
  }

  /** Takes back the place of a source in the cache. */
  void release(Source source) {
    admitted.remove(source);
  }

  /** Returns the sources that have a place in the cache. */
  List<Source> admitted() {
    return admitted;
  }

  /** Returns whether every sequence has finished. */
  boolean isComplete() {
    return !hasNext() && rows == 0;
  }
}
