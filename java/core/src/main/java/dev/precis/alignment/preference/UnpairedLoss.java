package dev.precis.alignment.preference;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.InvalidInputException;

/**
 * KTO (Ethayarajh et al. 2024): what an answer costs that people called good or bad by itself.
 *
 * <p>With {@code r = pi - ref}, the answer's summed log-probability by the policy over that by the
 * reference, and z how far the policy is from the reference on the whole:
 *
 * <pre>
 *   good   desirableWeight   (1 - s(beta (r - z)))
 *   bad    undesirableWeight (1 - s(beta (z - r)))
 *   z      max(0, mean of pi - ref over prompts with answers to other prompts), without a gradient
 * </pre>
 *
 * <p>A batch's loss is the mean over its answers. The paper advises weights such that {@code
 * desirableWeight x good answers} is 1 to 4/3 times {@code undesirableWeight x bad answers}.
 *
 * @param beta how much the policy is held to the reference
 */
public record UnpairedLoss(double beta, double desirableWeight, double undesirableWeight) {
  /** Checks the numbers. */
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
          "desirable-weight and undesirable-weight are both 0: nothing would be learnt");
    }
  }

  /**
   * What an answer costs.
   *
   * @param gradient the derivative with respect to the policy's summed log-probability, and so to
   *     that of each token
   * @param reward {@code beta r}
   */
  public record Cost(double loss, double gradient, double reward) {}

  /**
   * How far the policy is from the reference.
   *
   * @param sum of {@code pi - ref} over answers to other prompts
   * @param count of them
   */
  public static double divergence(double sum, long count) {
    return Math.max(0, sum / count);
  }

  /**
   * The cost of an answer.
   *
   * @param policy its summed log-probability
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
