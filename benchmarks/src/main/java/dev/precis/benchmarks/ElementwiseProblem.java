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
}
