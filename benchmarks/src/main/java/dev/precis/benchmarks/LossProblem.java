package dev.precis.benchmarks;

import dev.precis.ops.PpoLoss.Coefficients;
import dev.precis.tensor.Tensor;

/** Losses over the vocabulary, and the advantages that one of them needs. */
public sealed interface LossProblem extends Problem {
  /**
   * The policy loss of PPO with {@code logits = x W'}, and its gradients.
   *
   * @param x (M, D)
   * @param w (V, D)
   * @param actions (M) int32
   * @param weights (M) float32, and so are all below but dx: each row's weight in the loss
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
      Coefficients coefficients,
      Tensor logProbabilities,
      Tensor entropies,
      Tensor policyLosses,
      Tensor valueLosses,
      Tensor dx,
      Tensor dvalues)
      implements LossProblem {}

  /**
   * Generalized advantage estimation.
   *
   * @param rewards (sequences, length) float32, as are values and advantages
   * @param lengths (sequences) int32: the tokens of each sequence; padding follows
   */
  record Gae(
      Tensor rewards, Tensor values, Tensor lengths, double gamma, double lambda, Tensor advantages)
      implements LossProblem {}

  /**
   * The cross-entropy of {@code logits = x W'} and its gradient.
   *
   * @param x (M, D)
   * @param w (V, D)
   * @param labels (M) int32
   * @param smoothing of the labels
   * @param gradScale of dx: for a mean over n tokens, 1 / n
   * @param losses (M) float32
   * @param dx (M, D) float32
   */
  record LinearCrossEntropy(
      Tensor x, Tensor w, Tensor labels, float smoothing, float gradScale, Tensor losses, Tensor dx)
      implements LossProblem {}

  /**
   * The log-probabilities of given tokens under {@code logits = x W'}.
   *
   * @param x (M, D)
   * @param w (V, D)
   * @param labels (M) int32
   * @param dlogProbabilities (M) float32: the loss's gradient; null: none is wanted
   * @param logProbabilities (M) float32
   * @param entropies (M) float32
   * @param dx (M, D) float32; null without dlogProbabilities
   */
  record LogProbability(
      Tensor x,
      Tensor w,
      Tensor labels,
      Tensor dlogProbabilities,
      Tensor logProbabilities,
      Tensor entropies,
      Tensor dx)
      implements LossProblem {}

  /**
   * The loss of distillation with {@code logits = x W'} and the teacher's {@code teacherX
   * teacherW'}.
   *
   * @param x (M, D)
   * @param w (V, D)
   * @param labels (M) int32
   * @param teacherX (M, E)
   * @param teacherW (V, E)
   * @param divergences (M) float32
   * @param crossEntropies (M) float32
   * @param dx (M, D) float32
   */
  record DistillationLoss(
      Tensor x,
      Tensor w,
      Tensor labels,
      Tensor teacherX,
      Tensor teacherW,
      dev.precis.ops.DistillationLoss.Coefficients coefficients,
      Tensor divergences,
      Tensor crossEntropies,
      Tensor dx)
      implements LossProblem {}
}
