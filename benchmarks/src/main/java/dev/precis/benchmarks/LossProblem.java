package dev.precis.benchmarks;

import dev.precis.tensor.Tensor;

/** Losses over the vocabulary, and the advantages that one of them needs. */
public sealed interface LossProblem extends Problem {
  /**
   * The loss of PPO's update of a policy with {@code logits = x W'}, and its gradients.
   *
   * @param x (M, D)
   * @param w (V, D)
   * @param actions (M) int32
   * @param weights (M) float32, and so are all below but dx: each row's share of the loss
   * @param dx (M, D) float32
   */
  record PpoLoss(
      Tensor x,
      Tensor w,
      Tensor actions,
      Tensor weights,
      Tensor oldLogProbabilities,
      Tensor advantages,
      Tensor values,
      Tensor oldValues,
      Tensor returns,
      dev.precis.ops.PpoLoss.Coefficients coefficients,
      Tensor logProbabilities,
      Tensor entropies,
      Tensor policyLosses,
      Tensor valueLosses,
      Tensor dx,
      Tensor dvalues)
      implements LossProblem {}

  /**
   * Generalised advantage estimation.
   *
   * @param rewards (sequences, length) float32, as are values and advantages
   * @param lengths (sequences) int32: how much of each counts; what is behind is padding
   */
  record Gae(
      Tensor rewards, Tensor values, Tensor lengths, double gamma, double lambda, Tensor advantages)
      implements LossProblem {}
}
