package dev.precis.alignment.policy;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.InvalidInputException;

/**
 * Length of a run and its checkpoints.
 *
 * @param maxSteps steps of the run
 * @param checkpointEvery steps between checkpoints
 * @param keepCheckpoints newest checkpoints that are kept
 */
public record ScheduleOptions(long maxSteps, long checkpointEvery, int keepCheckpoints) {
  /**
   * Checks the ranges.
   *
   * @throws InvalidInputException where a value is outside its range
   */
  public ScheduleOptions {
    require(maxSteps > 0, "max-steps", "1 or more", maxSteps);
    require(checkpointEvery > 0, "checkpoint-every", "1 or more", checkpointEvery);
    require(keepCheckpoints > 0, "keep-checkpoints", "1 or more", keepCheckpoints);
  }

  /** Returns a builder that starts from the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects the options. */
  public static final class Builder {
    private long maxSteps = 100;
    private long checkpointEvery = 10;
    private int keepCheckpoints = 2;

    private Builder() {}

    public Builder maxSteps(long maxSteps) {
      this.maxSteps = maxSteps;
      return this;
    }

    public Builder checkpointEvery(long checkpointEvery) {
      this.checkpointEvery = checkpointEvery;
      return this;
    }

    public Builder keepCheckpoints(int keepCheckpoints) {
      this.keepCheckpoints = keepCheckpoints;
      return this;
    }

    /**
     * Returns the options.
     *
     * @throws InvalidInputException where a value is outside its range
     */
    public ScheduleOptions build() {
      return new ScheduleOptions(maxSteps, checkpointEvery, keepCheckpoints);
    }
  }
}
