package dev.precis.alignment.reward;

/**
 * The loss of a pair of which one side is preferred (Bradley and Terry 1952; margin: Touvron et al.
 * 2023; centering: Eisenstein et al. 2023), with rewards c of the chosen and r of the rejected
 * side:
 *
 * <pre>
 *   d = c - r - margin
 *   loss = log(1 + exp(-d)) + centering (c + r)^2
 * </pre>
 *
 * <p>Centring holds the rewards near zero, which the rest of the loss does not care about.
 *
 * @param dChosen the loss' derivative by c
 * @param dRejected likewise by r
 */
public record BradleyTerry(double loss, double dChosen, double dRejected) {
  /** The loss of a pair and its derivatives. */
  public static BradleyTerry of(double chosen, double rejected, double margin, double centering) {
    double d = chosen - rejected - margin;
    // Neither exponential overflows.
    double loss = Math.max(0, -d) + Math.log1p(Math.exp(-Math.abs(d)));
    double slope = -1 / (1 + Math.exp(d));
    double sum = chosen + rejected;
    return new BradleyTerry(
        loss + centering * sum * sum, slope + 2 * centering * sum, -slope + 2 * centering * sum);
  }

  /** How probable it is that the chosen side is preferred: the logistic function of c - r. */
  public static double probability(double chosen, double rejected) {
    return 1 / (1 + Math.exp(rejected - chosen));
  }
}
