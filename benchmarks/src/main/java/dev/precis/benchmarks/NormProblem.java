package dev.precis.benchmarks;

import dev.precis.tensor.Tensor;

/** Normalization of rows, and its gradients. */
public sealed interface NormProblem extends Problem {
  /** {@code y = x / sqrt(mean(x^2) + epsilon) * weight}; x, y (M, D), weight (D). */
  record RmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y) implements NormProblem {}

  /**
   * The gradients of {@link RmsNorm}.
   *
   * @param dy (M, D)
   * @param dx (M, D) float32, written
   * @param dweight (D) float32, zero before the first call, added to
   */
  record RmsNormBackward(
      Tensor x, Tensor weight, float epsilon, Tensor dy, Tensor dx, Tensor dweight)
      implements NormProblem {}

  /**
   * {@code y = (x - mean(x)) / sqrt(var(x) + epsilon) * weight + bias}; x, y (M, D), weight and
   * bias (D).
   */
  record LayerNorm(Tensor x, Tensor weight, Tensor bias, float epsilon, Tensor y)
      implements NormProblem {}

  /**
   * The gradients of {@link LayerNorm}.
   *
   * @param dy (M, D)
   * @param dx (M, D) float32, written
   * @param dweight (D) float32, zero before the first call, added to; likewise dbias
   */
  record LayerNormBackward(
      Tensor x, Tensor weight, float epsilon, Tensor dy, Tensor dx, Tensor dweight, Tensor dbias)
      implements NormProblem {}
}
