package dev.precis.evaluation;

import dev.precis.evaluation.PairedBootstrap.Interval;

/**
 * 95 % intervals of shares, and of their differences. The bootstrap would give "exactly 0" where
 * nothing of the kind happened in n trials; these stay honest there.
 */
public final class Proportion {
  private static final double NORMAL_95 = 1.959963984540054;

  private Proportion() {}

  /**
   * Returns a share with its Wilson interval (1927): with z = 1.96,
   *
   * <pre>
   *   (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)
   * </pre>
   *
   * @param p the share, from 0 to 1
   * @param n number of trials; 1 or more
   */
  public static Interval wilson(double p, int n) {
    double square = NORMAL_95 * NORMAL_95 / n;
    double half = NORMAL_95 * Math.sqrt(p * (1 - p) / n + square / (4 * n));
    return new Interval(
        p,
        // Rounding must not move a limit past the share itself.
        Math.min(p, (p + square / 2 - half) / (1 + square)),
        Math.max(p, (p + square / 2 + half) / (1 + square)));
  }

  /**
   * Returns the difference of two shares of the same trials with its interval (Newcombe 1998,
   * method 10): with the Wilson limits l and u of each, and phi the correlation of the trials,
   *
   * <pre>
   *   low  = d - sqrt(a^2 - 2 phi a b + b^2),   a = p_after - l_after,   b = u_before - p_before
   *   high = d + sqrt(c^2 - 2 phi c e + e^2),   c = u_after - p_after,   e = p_before - l_before
   * </pre>
   *
   * @param before 0 or 1 for each trial; at least one
   * @param after 0 or 1 for the same trials
   */
  public static Interval difference(double[] before, double[] after) {
    if (before.length != after.length || before.length == 0) {
      throw new IllegalArgumentException(
          "%d trials cannot be paired with %d".formatted(before.length, after.length));
    }
    int n = before.length;
    int both = 0;
    int first = 0;
    int second = 0;
    for (int i = 0; i < n; i++) {
      first += before[i] == 1 ? 1 : 0;
      second += after[i] == 1 ? 1 : 0;
      both += before[i] == 1 && after[i] == 1 ? 1 : 0;
    }
    double spread = Math.sqrt((double) first * (n - first) * second * (n - second));
    double phi = spread == 0 ? 0 : ((double) n * both - (double) first * second) / spread;
    Interval was = wilson((double) first / n, n);
    Interval is = wilson((double) second / n, n);
    double difference = is.mean() - was.mean();
    return new Interval(
        difference,
        difference - joint(is.mean() - is.low(), was.high() - was.mean(), phi),
        difference + joint(is.high() - is.mean(), was.mean() - was.low(), phi));
  }

  private static double joint(double a, double b, double phi) {
    return Math.sqrt(Math.max(0, a * a - 2 * phi * a * b + b * b));
  }
}
