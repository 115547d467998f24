package dev.precis.benchmarks;

import dev.precis.tensor.Tensor;

/** Operations from logits to tokens. */
public sealed interface SamplingProblem extends Problem {
  /** Softmax or log-softmax along the rows; x, y (M, N) float32. */
  record Softmax(Tensor x, boolean logarithm, Tensor y) implements SamplingProblem {}

  /**
   * One sampled token a row.
   *
   * @param logits (M, V) float32
   * @param topK 0: all; 1: the largest, without sampling
   * @param topP 1: all
   * @param seed of the sampler; every run samples anew
   * @param tokens (M) int32
   */
  record Sample(Tensor logits, float temperature, int topK, float topP, long seed, Tensor tokens)
      implements SamplingProblem {
    boolean greedy() {
      return topK == 1;
    }
  }

  /** The k largest of each row; x (M, N) float32, values (M, k) float32, indices (M, k) int32. */
  record TopK(Tensor x, Tensor values, Tensor indices) implements SamplingProblem {}

  /**
   * Changes scores, in place, before a token is chosen.
   *
   * @param scores (M, V) float32
   * @param history (M, length) int32: the tokens so far
   * @param lengths (M) int32: length
   * @param endTokens int32, rank 1; none may be chosen while tokens are fewer than minNewTokens
   * @param penalty the score of a token of the history is divided by it if positive, else
   *     multiplied
   * @param ngram no sequence of so many tokens may come twice
   */
  record ProcessLogits(
      Tensor scores,
      Tensor before,
      Tensor history,
      Tensor lengths,
      Tensor endTokens,
      float penalty,
      int ngram,
      int minNewTokens)
      implements SamplingProblem {}
}
