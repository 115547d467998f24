package dev.precis.alignment.policy;

/**
 * The coefficient of the KL penalty: fixed, or adapted to a target (Ziegler et al. 2019):
 *
 * <pre>
 *   beta *= 1 + clip(KL / target - 1, -0.2, 0.2) samples / horizon
 * </pre>
 */
public final class KlController {
  private static final double LARGEST_ERROR = 0.2;

  private final boolean adaptive;
  private final double target;
  private final double horizon;
  private double coefficient;

  /**
   * A controller.
   *
   * @param coefficient at the start
   * @param target KL of a whole sequence, in nats
   * @param horizon samples over which the coefficient can about double
   */
  public KlController(boolean adaptive, double coefficient, double target, double horizon) {
    this.adaptive = adaptive;
    this.coefficient = coefficient;
    this.target = target;
    this.horizon = horizon;
  }

  /** The coefficient now. */
  public double coefficient() {
    return coefficient;
  }

  /** Goes on where a run was. */
  public void restore(double coefficient) {
    this.coefficient = coefficient;
  }

  /** Takes note of a step's mean KL over so many samples. */
  public void update(double kl, int samples) {
    if (adaptive) {
      double error = Math.clamp(kl / target - 1, -LARGEST_ERROR, LARGEST_ERROR);
      coefficient *= 1 + error * samples / horizon;
    }
  }
}
