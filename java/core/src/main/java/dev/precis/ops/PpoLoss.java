package dev.precis.ops;

import dev.precis.tensor.Tensor;

/**
 * The arguments of {@link Ops#ppoLoss} by meaning; the formulas are those of {@code
 * precis_ppo_loss_args}. Vectors are (M) float32 but for the actions.
 */
public final class PpoLoss {
  private PpoLoss() {}

  /**
   * Weights of the loss's terms.
   *
   * @param clipRangeLow how far below 1 the ratio of probabilities still counts; infinity: any
   * @param clipRangeHigh how far above 1
   * @param clipRangeValue how far a value may move from the old one; infinity: any
   * @param valueCoefficient of the values' loss
   * @param entropyCoefficient of the entropy, which is a bonus
   * @param klCoefficient of the penalty for leaving the reference; 0: none
   */
  public record Coefficients(
      float clipRangeLow,
      float clipRangeHigh,
      float clipRangeValue,
      float valueCoefficient,
      float entropyCoefficient,
      float klCoefficient) {}

  /**
   * The rollout that the loss is computed on.
   *
   * @param actions (M) int32; -100 leaves a row out: zeros, no gradient
   * @param weights each row's weight in the loss: for a mean over n tokens, 1 / n
   * @param oldLogProbabilities of the policy that sampled the actions
   * @param advantages of the actions
   * @param referenceLogProbabilities needed when klCoefficient is not 0; or null
   * @param oldValues null where there is no critic
   * @param returns null where there is no critic
   */
  public record Inputs(
      Tensor actions,
      Tensor weights,
      Tensor oldLogProbabilities,
      Tensor advantages,
      Tensor referenceLogProbabilities,
      Tensor oldValues,
      Tensor returns) {}

  /**
   * The critic's predictions.
   *
   * @param values predicted now
   * @param dvalues written: the loss's gradient by the values; or null
   */
  public record Critic(Tensor values, Tensor dvalues) {}

  /**
   * Terms of the loss for each row, written.
   *
   * @param policyLosses not weighted
   * @param valueLosses not weighted; null where there is no critic
   */
  public record Outputs(
      Tensor logProbabilities, Tensor entropies, Tensor policyLosses, Tensor valueLosses) {}
}
