package dev.precis.alignment.policy;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.InvalidInputException;

/**
 * Adam updates of one step (Kingma and Ba 2015), at a constant learning rate.
 *
 * @param ppoEpochs PPO epochs: passes over the responses of a step
 * @param gradientAccumulation mini-batches per optimizer step
 * @param learningRate learning rate
 * @param valueLearningRate learning rate of the critic's head, that of the policy unless it is set:
 *     the head starts at random, where the policy starts trained
 * @param valueWarmupSteps steps at the start of a run in which the policy stays as it is, so that
 *     its first updates meet a critic that knows something
 * @param maxGradNorm clip the norm of all gradients together to this; 0: off
 * @param earlyStopKl end the PPO epochs of a step once the policy has moved 1.5 times this far from
 *     the one that sampled, in nats per token; 0: off
 */
public record OptimizationOptions(
    int ppoEpochs,
    int gradientAccumulation,
    float learningRate,
    float valueLearningRate,
    int valueWarmupSteps,
    float maxGradNorm,
    double earlyStopKl) {
  /**
   * Checks the ranges.
   *
   * @throws InvalidInputException where a value is outside its range
   */
  public OptimizationOptions {
    require(ppoEpochs > 0, "ppo-epochs", "1 or more", ppoEpochs);
    require(gradientAccumulation > 0, "gradient-accumulation", "1 or more", gradientAccumulation);
    require(learningRate > 0 && learningRate < 1e3f, "learning-rate", "above 0", learningRate);
    require(
        valueLearningRate > 0 && valueLearningRate < 1e3f,
        "value-learning-rate",
        "above 0",
        valueLearningRate);
    require(valueWarmupSteps >= 0, "value-warmup-steps", "0 or more", valueWarmupSteps);
    require(maxGradNorm >= 0, "max-grad-norm", "0 or more", maxGradNorm);
    require(earlyStopKl >= 0, "early-stop-kl", "0 or more", earlyStopKl);
  }

  /** Returns a builder that starts from the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects the options. */
  public static final class Builder {
    private int ppoEpochs = 4;
    private int gradientAccumulation = 1;
    private float learningRate = 1.41e-5f;
    private Float valueLearningRate;
    private int valueWarmupSteps = 0;
    private float maxGradNorm = 0;
    private double earlyStopKl = 0;

    private Builder() {}

    public Builder ppoEpochs(int ppoEpochs) {
      this.ppoEpochs = ppoEpochs;
      return this;
    }

    public Builder gradientAccumulation(int gradientAccumulation) {
      this.gradientAccumulation = gradientAccumulation;
      return this;
    }

    public Builder learningRate(float learningRate) {
      this.learningRate = learningRate;
      return this;
    }

    /** Sets the rate of the critic's head alone; null: as {@link #learningRate}. */
    public Builder valueLearningRate(Float valueLearningRate) {
      this.valueLearningRate = valueLearningRate;
      return this;
    }

    public Builder valueWarmupSteps(int valueWarmupSteps) {
      this.valueWarmupSteps = valueWarmupSteps;
      return this;
    }

    public Builder maxGradNorm(float maxGradNorm) {
      this.maxGradNorm = maxGradNorm;
      return this;
    }

    public Builder earlyStopKl(double earlyStopKl) {
      this.earlyStopKl = earlyStopKl;
      return this;
    }

    /**
     * Returns the options.
     *
     * @throws InvalidInputException where a value is outside its range
     */
    public OptimizationOptions build() {
      return new OptimizationOptions(
          ppoEpochs,
          gradientAccumulation,
          learningRate,
          valueLearningRate == null ? learningRate : valueLearningRate,
          valueWarmupSteps,
          maxGradNorm,
          earlyStopKl);
    }
  }
}
