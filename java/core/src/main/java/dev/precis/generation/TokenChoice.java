package dev.precis.generation;

import dev.precis.generation.DecodeBuffers.Part;
import dev.precis.ops.LogitRules;
import dev.precis.ops.Ops;
import dev.precis.ops.RowSampling;
import dev.precis.ops.SamplingParameters;

/**
 * Chooses the tokens of neighboring rows that have the same rules and parameters, or of all rows
 * where each has its own.
 */
final class TokenChoice {
  private static final SamplingParameters UNUSED = new SamplingParameters(0, 1, 0, 1);

  /**
   * The rules and the parameters.
   *
   * @param sampling null: greedy decoding
   * @param onHost whether the host changes the scores, which are then chosen from as they are
   * @param warped whether the log-probabilities of the warped distribution are wanted
   */
  record Kind(
      SamplingParameters sampling,
      float repetitionPenalty,
      int noRepeatNgramSize,
      int minNewTokens,
      boolean onHost,
      boolean warped) {
    /** Returns the kind of a request. */
    static Kind of(RunningRequest request) {
      GenerationOptions options = request.options();
      return new Kind(
          options.sample()
              ? new SamplingParameters(
                  options.seed(), options.temperature(), options.topK(), options.topP())
              : null,
          options.repetitionPenalty(),
          options.noRepeatNgramSize(),
          options.minNewTokens(),
          request.tokenRules() != null,
          request.warped());
    }

    /** Says how a row's token is chosen, where rows differ. */
    void put(DecodeBuffers buffers, int row) {
      if (onHost) {
        buffers.rowRules().clear(row); // they have been applied when it is chosen
      } else {
        buffers.rowRules().set(row, repetitionPenalty, noRepeatNgramSize, minNewTokens);
      }
      buffers.rowSampling().set(row, sampling == null, sampling == null ? UNUSED : sampling);
    }
  }

  private final Ops ops;
  private final Kind kind; // null: that of each row
  private final DecodeBuffers buffers;
  private final RowSampling sampling;
  private final Part part;
  private final SamplingParameters.Outputs outputs;

  /** Takes rows that are all of a kind. */
  TokenChoice(Ops ops, Kind kind, DecodeBuffers buffers, Part part) {
    this(ops, kind, buffers, null, part, kind.warped);
  }

  /** Takes rows of different kinds, which {@link Kind#put} has written. */
  static TokenChoice mixed(Ops ops, DecodeBuffers buffers) {
    return new TokenChoice(ops, null, buffers, buffers.rowSampling(), buffers.mixed(), true);
  }

  private TokenChoice(
      Ops ops, Kind kind, DecodeBuffers buffers, RowSampling sampling, Part part, boolean warped) {
    this.ops = ops;
    this.kind = kind;
    this.buffers = buffers;
    this.sampling = sampling;
    this.part = part;
    outputs =
        new SamplingParameters.Outputs(
            part.tokens(),
            part.logProbabilities(),
            warped ? part.warpedLogProbabilities() : null,
            null,
            part.next());
  }

  /** Returns whether the host changes the scores. */
  boolean onHost() {
    return kind.onHost;
  }

  /** Keeps the log-probabilities that the model gave, before the host changes scores. */
  void keepOriginals() {
    ops.softmax(part.logits(), part.originals(), true);
    buffers.downloadOriginals(part);
    buffers.downloadLogits(part);
  }

  /** Applies the rules of the kernel, in the middle of those of the host. */
  void process() {
    buffers.uploadLogits(part);
    ops.processLogits(part.logits(), part.rules());
    buffers.downloadLogits(part);
  }

  /** Brings the scores back that the host has changed. */
  void useScores() {
    buffers.uploadLogits(part);
  }

  /** Launches the operation that chooses the tokens. */
  void choose() {
    if (kind == null) {
      ops.sample(part.logits(), part.rules(), sampling, part.streams(), part.offsets(), outputs);
      return;
    }
    LogitRules rules = kind.onHost ? part.noRules() : part.rules();
    if (kind.sampling == null) {
      ops.greedy(part.logits(), rules, part.tokens(), part.logProbabilities(), part.next());
    } else {
      ops.sample(part.logits(), rules, kind.sampling, part.streams(), part.offsets(), outputs);
    }
  }
}
