package dev.precis.alignment.policy;

import java.util.Locale;

/**
 * Estimators of a token's divergence from the reference, with {@code d = log p - log q} of the
 * policy's and the reference's probability of the token.
 */
public enum KlPenalty {
  /** {@code d}, an unbiased estimate of the KL divergence. */
  KL,
  /** {@code |d|}. */
  ABS,
  /** {@code d^2 / 2}. */
  MSE,
  /** {@code sum_v p (log p - log q)}: the divergence of the whole distribution. */
  FULL;

  /**
   * Returns the estimate for one token.
   *
   * @param d {@code log p - log q} of the token
   * @throws IllegalStateException for {@link #FULL}, which needs the whole distribution
   */
  double of(double d) {
    return switch (this) {
      case KL -> d;
      case ABS -> Math.abs(d);
      case MSE -> 0.5 * d * d;
      case FULL -> throw new IllegalStateException("full is a sum over the vocabulary");
    };
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
