package dev.precis.alignment.preference;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.InvalidInputException;

/**
 * Loss of KTO (Ethayarajh et al. 2024) for single completions that people found desirable or
 * undesirable.
 *
 * <p>With {@code r = pi - ref}, the completion's summed log-probability under the policy minus that
 * under the reference, and z the estimated KL of the policy from the reference:
 *
 * <pre>
 *   good   desirableWeight   (1 - s(beta (r - z)))
 *   bad    undesirableWeight (1 - s(beta (z - r)))
 *   z      max(0, mean of pi - ref over prompts with completions of other prompts), no gradient
 * </pre>
 *
 * <p>A batch's loss is the mean over its completions. The paper advises weights such that {@code
 * desirableWeight x desirable completions} is 1 to 4/3 times {@code undesirableWeight x undesirable
 * completions}.
 *
 * @param beta strength of the regularization towards the reference
 */
public record UnpairedLoss(double beta, double desirableWeight, double undesirableWeight) {
  /** Checks the ranges. */
  public UnpairedLoss {
    require(beta > 0 && beta < 1e6, "beta", "above 0", beta);
    require(
        desirableWeight >= 0 && desirableWeight < 1e6,
        "desirable-weight",
        "0 or more",
        desirableWeight);
    require(
        undesirableWeight >= 0 && undesirableWeight < 1e6,
        "undesirable-weight",
        "0 or more",
        undesirableWeight);
    if (desirableWeight == 0 && undesirableWeight == 0) {
      throw new InvalidInputException(
          "desirable-weight and undesirable-weight are both 0: no completion would be trained on");
    }
  }

  /**
   * Loss of a completion with its gradient and reward.
   *
   * @param gradient derivative with respect to the policy's summed log-probability, and so to that
   *     of each token
   * @param reward implicit reward, {@code beta r}
   */
  public record Cost(double loss, double gradient, double reward) {}

  /**
   * Returns z, the estimated KL of the policy from the reference.
   *
   * @param sum sum of {@code pi - ref} over completions of other prompts
   * @param count number of them
   */
  public static double divergence(double sum, long count) {
    return Math.max(0, sum / count);
  }

  /**
   * Computes the loss of a completion.
   *
   * @param policy summed log-probability under the policy
   * @param divergence z
   */
  public Cost of(boolean desirable, double policy, double reference, double divergence) {
    double r = policy - reference;
    double away = beta * (desirable ? r - divergence : divergence - r);
    double weight = desirable ? desirableWeight : undesirableWeight;
    double slope = weight * beta * PreferenceLoss.sigmoid(away) * PreferenceLoss.sigmoid(-away);
    return new Cost(weight * PreferenceLoss.sigmoid(-away), desirable ? -slope : slope, beta * r);
  }
}
