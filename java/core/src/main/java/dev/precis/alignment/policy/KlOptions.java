package dev.precis.alignment.policy;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.InvalidInputException;

/**
 * KL penalty that regularizes the policy towards its reference.
 *
 * @param penalty estimator of the divergence of each token
 * @param coefficient coefficient of the penalty, at the start if it is adaptive
 * @param adaptive adapt the coefficient to the target, see {@link KlController}
 * @param target KL of a whole response, in nats, that an adaptive coefficient aims at
 * @param horizon responses over which an adaptive coefficient changes by a factor of about 2
 */
public record KlOptions(
    KlPenalty penalty, double coefficient, boolean adaptive, double target, double horizon) {
  /**
   * Checks the ranges.
   *
   * @throws InvalidInputException where a value is outside its range
   */
  public KlOptions {
    require(coefficient >= 0, "kl-coef", "0 or more", coefficient);
    require(target > 0, "target-kl", "above 0", target);
    require(horizon > 0, "kl-horizon", "above 0", horizon);
  }

  /** Returns a builder that starts from the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects the options. */
  public static final class Builder {
    private KlPenalty penalty = KlPenalty.KL;
    private double coefficient = 0.2;
    private boolean adaptive = true;
    private double target = 6;
    private double horizon = 10000;

    private Builder() {}

    public Builder penalty(KlPenalty penalty) {
      this.penalty = penalty;
      return this;
    }

    public Builder coefficient(double coefficient) {
      this.coefficient = coefficient;
      return this;
    }

    public Builder adaptive(boolean adaptive) {
      this.adaptive = adaptive;
      return this;
    }

    public Builder target(double target) {
      this.target = target;
      return this;
    }

    public Builder horizon(double horizon) {
      this.horizon = horizon;
      return this;
    }

    /**
     * Returns the options.
     *
     * @throws InvalidInputException where a value is outside its range
     */
    public KlOptions build() {
      return new KlOptions(penalty, coefficient, adaptive, target, horizon);
    }
  }
}
