package dev.precis.benchmarks;

import dev.precis.tensor.Tensor;

/** What leads from logits to tokens. */
public sealed interface SamplingProblem extends Problem {
  /** Softmax or log-softmax along the rows; x, y (M, N) float32. */
  record Softmax(Tensor x, boolean logarithm, Tensor y) implements SamplingProblem {}

  /**
   * One token a row.
   *
   * @param logits (M, V) float32
   * @param topK 0: all; 1: the largest, without a draw
   * @param topP 1: all
   * @param seed of the draws; every run draws anew
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
}
