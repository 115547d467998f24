package dev.precis.alignment.reward;

/**
 * Loss of a preference pair (Bradley and Terry 1952; margin: Touvron et al. 2023; centering:
 * Eisenstein et al. 2023) with the rewards c of the chosen and r of the rejected completion:
 *
 * <pre>
 *   d = c - r - margin
 *   loss = log(1 + exp(-d)) + centering (c + r)^2
 * </pre>
 *
 * <p>Centering keeps the rewards near zero; the rest of the loss depends on their difference alone.
 *
 * @param dChosen derivative of the loss with respect to c
 * @param dRejected derivative of the loss with respect to r
 */
public record BradleyTerry(double loss, double dChosen, double dRejected) {
  /** Computes the loss of a pair and its derivatives. */
  public static BradleyTerry of(double chosen, double rejected, double margin, double centering) {
    double d = chosen - rejected - margin;
    // Neither exponential overflows.
    double loss = Math.max(0, -d) + Math.log1p(Math.exp(-Math.abs(d)));
    double slope = -1 / (1 + Math.exp(d));
    double sum = chosen + rejected;
    return new BradleyTerry(
        loss + centering * sum * sum, slope + 2 * centering * sum, -slope + 2 * centering * sum);
  }

  /**
   * Returns the probability that the chosen completion is preferred: the logistic function of c -
   * r.
   */
  public static double probability(double chosen, double rejected) {
    return 1 / (1 + Math.exp(rejected - chosen));
  }
}
