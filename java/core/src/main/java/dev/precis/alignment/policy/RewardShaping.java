package dev.precis.alignment.policy;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.InvalidInputException;

/**
 * Transformation of scores and rewards before advantages are estimated.
 *
 * @param scaleScores divide scores by the running standard deviation of all scores so far
 * @param centerScores subtract the running mean of all scores as well; needs scaleScores
 * @param scoreClip clip scores to [-scoreClip, scoreClip]; 0: off
 * @param whitenRewards scale the rewards of all tokens of a step to variance 1, keeping their mean
 */
public record RewardShaping(
    boolean scaleScores, boolean centerScores, double scoreClip, boolean whitenRewards) {
  /**
   * Checks the ranges.
   *
   * @throws InvalidInputException where a value is outside its range
   */
  public RewardShaping {
    require(scoreClip >= 0, "score-clip", "0 or more", scoreClip);
  }

  /** Returns a builder that starts from the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects the options. */
  public static final class Builder {
    private boolean scaleScores = false;
    private boolean centerScores = false;
    private double scoreClip = 0;
    private boolean whitenRewards = false;

    private Builder() {}

    public Builder scaleScores(boolean scaleScores) {
      this.scaleScores = scaleScores;
      return this;
    }

    public Builder centerScores(boolean centerScores) {
      this.centerScores = centerScores;
      return this;
    }

    public Builder scoreClip(double scoreClip) {
      this.scoreClip = scoreClip;
      return this;
    }

    public Builder whitenRewards(boolean whitenRewards) {
      this.whitenRewards = whitenRewards;
      return this;
    }

    /**
     * Returns the options.
     *
     * @throws InvalidInputException where a value is outside its range
     */
    public RewardShaping build() {
      return new RewardShaping(scaleScores, centerScores, scoreClip, whitenRewards);
    }
  }
}
