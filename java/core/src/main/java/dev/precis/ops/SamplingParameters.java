package dev.precis.ops;

import dev.precis.tensor.Tensor;

/**
 * Parameters of {@link Ops#sample}.
 *
 * @param seed of the random numbers, which are a function of it, the stream and the offset alone
 * @param temperature by which the logits are divided
 * @param topK how many of the largest can be sampled; 0: all
 * @param topP the probability mass that can be sampled; 1: all
 */
public record SamplingParameters(long seed, float temperature, int topK, float topP) {
  /**
   * Places for the result.
   *
   * @param tokens (M) int32
   * @param logProbabilities (M) float32, of the logits as they came in; or null
   * @param warpedLogProbabilities (M) float32, of the distribution that was sampled; or null
   * @param probabilities (M, V) float32: that distribution; or null
   * @param next where the tokens are appended; or null
   */
  public record Outputs(
      Tensor tokens,
      Tensor logProbabilities,
      Tensor warpedLogProbabilities,
      Tensor probabilities,
      NextRows next) {
    /** Makes places for tokens that are appended to nothing. */
    public Outputs(
        Tensor tokens,
        Tensor logProbabilities,
        Tensor warpedLogProbabilities,
        Tensor probabilities) {
      this(tokens, logProbabilities, warpedLogProbabilities, probabilities, null);
    }
  }
}
