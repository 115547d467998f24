package dev.precis.benchmarks;

import dev.precis.tensor.Tensor;

/** Normalization of rows, and its gradients. */
public sealed interface NormProblem extends Problem {
  /** {@code y = x / sqrt(mean(x^2) + epsilon) * weight}; x, y (M, D), weight (D). */
  record RmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y) implements NormProblem {}
}
