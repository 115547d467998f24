package dev.precis.benchmarks;

import dev.precis.ops.Activation;
import dev.precis.tensor.Tensor;

/** Element-wise operations and those that look up or add up rows. */
public sealed interface ElementwiseProblem extends Problem {
  /** {@code y = act(x[:, :F]) * x[:, F:]} or, not gated, {@code y = act(x)}; y (M, F). */
  record ActivationFunction(Tensor x, Activation kind, boolean gated, Tensor y)
      implements ElementwiseProblem {}

  /** {@code y[t] = table[ids[t]]}; table (V, D), ids (T) int32, y (T, D) float32. */
  record Embedding(Tensor table, Tensor ids, Tensor y) implements ElementwiseProblem {}

  /** {@code y = x}, float32 to bfloat16 or back. */
  record Convert(Tensor x, Tensor y) implements ElementwiseProblem {}

  /** The gradient of {@link ActivationFunction}; dy (M, F), dx as x. */
  record ActivationBackward(Tensor x, Activation kind, boolean gated, Tensor dy, Tensor dx)
      implements ElementwiseProblem {}

  /**
   * {@code dtable[ids[t]] += dy[t]}; dy (T, D), dtable (V, D) float32, zero before the first call.
   */
  record EmbeddingBackward(Tensor ids, Tensor dy, Tensor dtable) implements ElementwiseProblem {}

  /** {@code y += alpha x}; x, y (M, N). */
  record Add(Tensor x, float alpha, Tensor y, Tensor before) implements ElementwiseProblem {}

  /** {@code y[m] += bias}; y (M, N), bias (N). */
  record AddBias(Tensor y, Tensor bias, Tensor before) implements ElementwiseProblem {}

  /** {@code dbias[n] += sum over m of dy[m, n]}; dbias (N), zero before the first call. */
  record BiasGradient(Tensor dy, Tensor dbias) implements ElementwiseProblem {}

  /** {@code y = x . mask / (1 - probability)}; x, y (M, N). */
  record Dropout(Tensor x, float probability, long seed, Tensor y) implements ElementwiseProblem {}

  /** {@code y = 0}. */
  record Zero(Tensor y) implements ElementwiseProblem {}
}
