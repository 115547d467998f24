package dev.precis.alignment.policy;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.InvalidInputException;

/**
 * Limits at which the watchdog rolls a run back to its last checkpoint.
 *
 * @param maxRollbacks rollbacks, each of which halves the learning rate, before the run ends
 * @param klLimit largest KL of a whole response, in nats; 0: 10 times the target of an adaptive
 *     coefficient, or 60
 * @param scoreDrop largest drop of the mean score of 5 steps below the best such mean; 0: off
 */
public record WatchdogOptions(int maxRollbacks, double klLimit, double scoreDrop) {
  /**
   * Checks the ranges.
   *
   * @throws InvalidInputException where a value is outside its range
   */
  public WatchdogOptions {
    require(maxRollbacks >= 0, "max-rollbacks", "0 or more", maxRollbacks);
    require(klLimit >= 0, "kl-limit", "0 or more", klLimit);
    require(scoreDrop >= 0, "score-drop", "0 or more", scoreDrop);
  }

  /** Returns a builder that starts from the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects the options. */
  public static final class Builder {
    private int maxRollbacks = 2;
    private double klLimit = 0;
    private double scoreDrop = 0;

    private Builder() {}

    public Builder maxRollbacks(int maxRollbacks) {
      this.maxRollbacks = maxRollbacks;
      return this;
    }

    public Builder klLimit(double klLimit) {
      this.klLimit = klLimit;
      return this;
    }

    public Builder scoreDrop(double scoreDrop) {
      this.scoreDrop = scoreDrop;
      return this;
    }

    /**
     * Returns the options.
     *
     * @throws InvalidInputException where a value is outside its range
     */
    public WatchdogOptions build() {
      return new WatchdogOptions(maxRollbacks, klLimit, scoreDrop);
    }
  }
}
