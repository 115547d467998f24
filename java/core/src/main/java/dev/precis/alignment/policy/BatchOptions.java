package dev.precis.alignment.policy;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.InvalidInputException;

/**
 * Sizes of the batches that one step of policy optimization samples and trains on.
 *
 * @param batchSize responses that a step samples
 * @param miniBatchSize responses in one forward and backward pass
 * @param groupSize responses sampled for each prompt; GRPO and RLOO need at least 2
 */
public record BatchOptions(int batchSize, int miniBatchSize, int groupSize) {
  /**
   * Checks the ranges.
   *
   * @throws InvalidInputException where a value is outside its range
   */
  public BatchOptions {
    require(batchSize > 0, "batch-size", "1 or more", batchSize);
    require(
        miniBatchSize > 0 && miniBatchSize <= batchSize,
        "mini-batch-size",
        "1 or more and at most batch-size, " + batchSize,
        miniBatchSize);
    require(groupSize > 0, "group-size", "1 or more", groupSize);
    require(
        batchSize % groupSize == 0,
        "batch-size",
        "a multiple of group-size, " + groupSize,
        batchSize);
    require(
        miniBatchSize % groupSize == 0,
        "mini-batch-size",
        "a multiple of group-size, " + groupSize,
        miniBatchSize);
  }

  /** Returns the number of prompts of a step. */
  public int prompts() {
    return batchSize / groupSize;
  }

  /** Returns the number of prompts whose responses form a mini-batch. */
  public int miniBatchPrompts() {
    return miniBatchSize / groupSize;
  }

  /** Returns a builder that starts from the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects the options. */
  public static final class Builder {
    private int batchSize = 16;
    private int miniBatchSize = 4;
    private int groupSize = 1;

    private Builder() {}

    public Builder batchSize(int batchSize) {
      this.batchSize = batchSize;
      return this;
    }

    public Builder miniBatchSize(int miniBatchSize) {
      this.miniBatchSize = miniBatchSize;
      return this;
    }

    public Builder groupSize(int groupSize) {
      this.groupSize = groupSize;
      return this;
    }

    /**
     * Returns the options.
     *
     * @throws InvalidInputException where a value is outside its range
     */
    public BatchOptions build() {
      return new BatchOptions(batchSize, miniBatchSize, groupSize);
    }
  }
}
