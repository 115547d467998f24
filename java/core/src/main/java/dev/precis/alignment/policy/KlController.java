package dev.precis.alignment.policy;

/**
 * Controls the coefficient of the KL penalty: fixed, or adapted to a target (Ziegler et al. 2019):
 *
 * <pre>
 *   beta *= 1 + clip(KL / target - 1, -0.2, 0.2) samples / horizon
 * </pre>
 */
public final class KlController {
  private static final double LARGEST_ERROR = 0.2;

  private final KlOptions options;
  private double coefficient;

  /** Starts with the options' coefficient. */
  public KlController(KlOptions options) {
    this.options = options;
    coefficient = options.coefficient();
  }

  /** Returns the present coefficient. */
  public double coefficient() {
    return coefficient;
  }

  /** Continues with the coefficient of an earlier run. */
  public void restore(double coefficient) {
    this.coefficient = coefficient;
  }

  /** Adapts the coefficient to a step's mean KL per response, over so many responses. */
  public void update(double kl, int samples) {
    if (options.adaptive()) {
      double error = Math.clamp(kl / options.target() - 1, -LARGEST_ERROR, LARGEST_ERROR);
      coefficient *= 1 + error * samples / options.horizon();
    }
  }
}
