package dev.precis.alignment.policy;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import java.io.Serializable;

/**
 * Sampling of responses from the policy.
 *
 * @param maxNewTokens maximum response length in tokens
 * @param minNewTokens minimum response length in tokens
 * @param shortestLimit when positive, each response has its own maximum length, sampled uniformly
 *     from this to maxNewTokens; 0: maxNewTokens for all
 * @param temperature divisor of the logits
 * @param topK sample among this many most probable tokens; 0: all
 * @param topP sample among the most probable tokens whose probabilities sum to this (nucleus
 *     sampling); 1: all
 */
public record SamplingOptions(
    int maxNewTokens, int minNewTokens, int shortestLimit, float temperature, int topK, float topP)
    implements Serializable {
  /**
   * Checks the ranges.
   *
   * @throws InvalidInputException where a value is outside its range
   */
  public SamplingOptions {
    require(
        shortestLimit >= 0 && shortestLimit <= maxNewTokens,
        "shortest-limit",
        "between 0 and max-new-tokens, " + maxNewTokens,
        shortestLimit);
    generation(maxNewTokens, minNewTokens, temperature, topK, topP).build();
  }

  private static GenerationOptions.Builder generation(
      int maxNewTokens, int minNewTokens, float temperature, int topK, float topP) {
    return GenerationOptions.builder()
        .sample(true)
        // The data has a limit of its own.
        .maxSourceTokens(Integer.MAX_VALUE)
        .maxNewTokens(maxNewTokens)
        .minNewTokens(minNewTokens)
        .temperature(temperature)
        .topK(topK)
        .topP(topP);
  }

  /**
   * Returns the generator's options for these.
   *
   * @param responses number of responses to each prompt
   * @param seed of the random numbers
   */
  public GenerationOptions generation(int responses, long seed) {
    return generation(maxNewTokens, minNewTokens, temperature, topK, topP)
        .numReturnSequences(responses)
        .seed(seed)
        .build();
  }

  /**
   * Returns true if tokens are sampled from another distribution than the policy's own, whose
   * log-probabilities are trained: the KL estimate is then biased and can be negative.
   */
  public boolean warped() {
    return temperature != 1 || topK != 0 || topP != 1 || minNewTokens > 0;
  }

  /** Returns a builder that starts from the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects the options. */
  public static final class Builder {
    private int maxNewTokens = 64;
    private int minNewTokens = 0;
    private int shortestLimit = 0;
    private float temperature = 1;
    private int topK = 0;
    private float topP = 1;

    private Builder() {}

    public Builder maxNewTokens(int maxNewTokens) {
      this.maxNewTokens = maxNewTokens;
      return this;
    }

    public Builder minNewTokens(int minNewTokens) {
      this.minNewTokens = minNewTokens;
      return this;
    }

    public Builder shortestLimit(int shortestLimit) {
      this.shortestLimit = shortestLimit;
      return this;
    }

    public Builder temperature(float temperature) {
      this.temperature = temperature;
      return this;
    }

    public Builder topK(int topK) {
      this.topK = topK;
      return this;
    }

    public Builder topP(float topP) {
      this.topP = topP;
      return this;
    }

    /**
     * Returns the options.
     *
     * @throws InvalidInputException where a value is outside its range
     */
    public SamplingOptions build() {
      return new SamplingOptions(
          maxNewTokens, minNewTokens, shortestLimit, temperature, topK, topP);
    }
  }
}
