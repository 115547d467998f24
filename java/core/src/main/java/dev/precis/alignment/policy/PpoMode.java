package dev.precis.alignment.policy;

import java.util.Locale;

/**
 * Presets for the points in which implementations of PPO differ. All other options mean the same in
 * each.
 */
public enum PpoMode {
  /** Trains every generated token, up to and including the end token. */
  FULL_MASK(true, Whitening.BATCH, EarlyStop.OPTIMIZER_STEP, true, false),

  /** Computes what TRL 0.11.4 computes, whose first generated token is never trained. */
  TRL_CLASSIC(false, Whitening.BATCH, EarlyStop.EPOCH, true, true),

  /**
   * Computes what TRL computes at the commit that the DeepLearning.AI course's lab uses (25fa1bd).
   */
  LAB(false, Whitening.MINI_BATCH, EarlyStop.OPTIMIZER_STEP, false, false);

  /** Tokens over which advantages are whitened. */
  enum Whitening {
    BATCH,
    MINI_BATCH
  }

  /** Moments at which early stopping by KL ends the PPO epochs of a step. */
  enum EarlyStop {
    OPTIMIZER_STEP,
    EPOCH
  }

  private final boolean trainsFirstToken;
  private final Whitening whitening;
  private final EarlyStop earlyStop;
  private final boolean usesRatioThreshold;
  private final boolean whitensPadding;

  PpoMode(
      boolean trainsFirstToken,
      Whitening whitening,
      EarlyStop earlyStop,
      boolean usesRatioThreshold,
      boolean whitensPadding) {
    this.trainsFirstToken = trainsFirstToken;
    this.whitening = whitening;
    this.earlyStop = earlyStop;
    this.usesRatioThreshold = usesRatioThreshold;
    this.whitensPadding = whitensPadding;
  }

  /**
   * Returns true if the first generated token has a reward, a value and a gradient. TRL's response
   * begins with the decoder's start token and its mask leaves out the prediction after it; lengths
   * of responses then count the start token.
   */
  boolean trainsFirstToken() {
    return trainsFirstToken;
  }

  /** Returns the tokens over which PPO's advantages are whitened. */
  Whitening whitening() {
    return whitening;
  }

  /** Returns the moments at which early stopping by KL is checked. */
  EarlyStop earlyStop() {
    return earlyStop;
  }

  /** Returns true if mini-batches above {@link LossOptions#ratioThreshold} are skipped. */
  boolean usesRatioThreshold() {
    return usesRatioThreshold;
  }

  /**
   * Returns true if whitened rewards have the padding behind a response rewarded: TRL whitens the
   * zeros there as well, and does not mask what becomes of them, so that they reach the advantages
   * of every response that is shorter than the longest of its batch.
   */
  boolean whitensPadding() {
    return whitensPadding;
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
