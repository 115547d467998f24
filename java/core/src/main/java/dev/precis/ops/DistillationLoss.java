package dev.precis.ops;

import dev.precis.tensor.Tensor;

/**
 * The arguments of {@link Ops#distillationLoss} by meaning; the formulas are those of {@code
 * precis_distillation_loss_args}.
 */
public final class DistillationLoss {
  private DistillationLoss() {}

  /**
   * The teacher's distributions.
   *
   * @param x (M, E): what its output layer reads
   * @param head its output layer, of as many outputs as the student's; nothing of it is transposed
   */
  public record Teacher(Tensor x, LogitHead head) {}

  /**
   * Weights of the loss's terms.
   *
   * @param temperature divides the logits of both in the divergence; above 0
   * @param beta of the generalized Jensen-Shannon divergence, in [0, 1]: 0 is the forward
   *     Kullback-Leibler divergence KL(teacher || student), 1 the reverse one
   * @param divergenceWeight of the divergence, each row's
   * @param labelWeight of the labels' cross-entropy, each row's
   */
  public record Coefficients(
      float temperature, float beta, float divergenceWeight, float labelWeight) {}

  /**
   * Terms of the loss for each row, (M) float32, written and not weighted.
   *
   * @param crossEntropies of the labels, at temperature 1
   */
  public record Outputs(Tensor divergences, Tensor crossEntropies) {}
}
