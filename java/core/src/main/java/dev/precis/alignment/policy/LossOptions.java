package dev.precis.alignment.policy;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.InvalidInputException;

/**
 * Clipping and coefficients of the clipped surrogate loss (Schulman et al. 2017).
 *
 * @param clipRange epsilon: the ratio of new to old probability is clipped to [1 - epsilon, 1 +
 *     clipRangeHigh]
 * @param clipRangeHigh the other bound, epsilon as well unless it is set: larger, it lets unlikely
 *     tokens grow (clip-higher, Yu et al. 2025)
 * @param clipRangeValue values are clipped to within this of the values at the rollout
 * @param valueCoefficient coefficient of the value loss (c1)
 * @param entropyCoefficient coefficient of the entropy bonus (c2)
 * @param ratioThreshold skip a mini-batch whose mean ratio exceeds this; 0: off
 */
public record LossOptions(
    float clipRange,
    float clipRangeHigh,
    float clipRangeValue,
    float valueCoefficient,
    float entropyCoefficient,
    double ratioThreshold) {
  /**
   * Checks the ranges.
   *
   * @throws InvalidInputException where a value is outside its range
   */
  public LossOptions {
    require(clipRange > 0, "clip-range", "above 0", clipRange);
    require(clipRangeHigh > 0, "clip-range-high", "above 0", clipRangeHigh);
    require(clipRangeValue > 0, "clip-range-value", "above 0", clipRangeValue);
    require(valueCoefficient >= 0, "value-coef", "0 or more", valueCoefficient);
    require(entropyCoefficient >= 0, "entropy-coef", "0 or more", entropyCoefficient);
    require(ratioThreshold >= 0, "ratio-threshold", "0 or more", ratioThreshold);
  }

  /** Returns a builder that starts from the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects the options. */
  public static final class Builder {
    private float clipRange = 0.2f;
    private Float clipRangeHigh;
    private float clipRangeValue = 0.2f;
    private float valueCoefficient = 0.1f;
    private float entropyCoefficient = 0;
    private double ratioThreshold = 10;

    private Builder() {}

    public Builder clipRange(float clipRange) {
      this.clipRange = clipRange;
      return this;
    }

    /** Sets the upper bound alone; null: as {@link #clipRange}. */
    public Builder clipRangeHigh(Float clipRangeHigh) {
      this.clipRangeHigh = clipRangeHigh;
      return this;
    }

    public Builder clipRangeValue(float clipRangeValue) {
      this.clipRangeValue = clipRangeValue;
      return this;
    }

    public Builder valueCoefficient(float valueCoefficient) {
      this.valueCoefficient = valueCoefficient;
      return this;
    }

    public Builder entropyCoefficient(float entropyCoefficient) {
      this.entropyCoefficient = entropyCoefficient;
      return this;
    }

    public Builder ratioThreshold(double ratioThreshold) {
      this.ratioThreshold = ratioThreshold;
      return this;
    }

    /**
     * Returns the options.
     *
     * @throws InvalidInputException where a value is outside its range
     */
    public LossOptions build() {
      return new LossOptions(
          clipRange,
          clipRangeHigh == null ? clipRange : clipRangeHigh,
          clipRangeValue,
          valueCoefficient,
          entropyCoefficient,
          ratioThreshold);
    }
  }
}
