package dev.precis.evaluation;

import dev.precis.random.SplitMix64;
import java.util.Arrays;

/**
 * How far a mean over test examples would move had other examples been drawn, and whether one
 * system is better than another (Koehn: Statistical Significance Tests for Machine Translation
 * Evaluation, 2004).
 *
 * <p>From n examples, n are drawn with replacement, B times; m_b is the mean of the b-th draw. The
 * 95 % interval goes from the 2.5th to the 97.5th percentile of the m_b (linear between
 * neighbours). Two systems are compared on the differences of their scores example by example, so
 * that what makes an example easy for both cancels out. The p-value has two sides and counts the
 * draws that contradict:
 *
 * <pre>
 *   p = min(1, 2 (1 + min(#{m_b &lt;= 0}, #{m_b &gt;= 0})) / (1 + B))
 * </pre>
 *
 * <p>Draws depend on seed and n alone: all metrics and systems see the same ones. Immutable.
 */
public final class PairedBootstrap {
  /** Draws where a call does not say: the smallest p-value is 2 / 10,001. */
  public static final int DEFAULT_RESAMPLES = 10_000;

  private final long seed;
  private final int resamples;

  /**
   * A mean and its 95 % interval.
   *
   * @param mean of the examples themselves, not of the draws
   */
  public record Interval(double mean, double low, double high) {
    /** Whether the interval lies on one side of zero. */
    public boolean excludesZero() {
      return low > 0 || high < 0;
    }
  }

  /**
   * A candidate against a baseline.
   *
   * @param difference candidate minus baseline
   * @param pValue how often the draws would contradict if there were no difference
   */
  public record Comparison(Interval difference, double pValue) {}

  public PairedBootstrap(long seed) {
    this(seed, DEFAULT_RESAMPLES);
  }

  /**
   * @param resamples how many draws; 1 or more
   */
  public PairedBootstrap(long seed, int resamples) {
    if (resamples < 1) {
      throw new IllegalArgumentException("Resamples must be 1 or more, not " + resamples);
    }
    this.seed = seed;
    this.resamples = resamples;
  }

  /**
   * The mean of scores and its interval.
   *
   * @param scores one for each example; at least one
   */
  public Interval mean(double[] scores) {
    return interval(scores, means(scores));
  }

  /**
   * Compares two systems on the same examples.
   *
   * @param baseline its scores, one for each example; at least one
   * @param candidate its scores on the same examples
   */
  public Comparison compare(double[] baseline, double[] candidate) {
    if (baseline.length != candidate.length) {
      throw new IllegalArgumentException(
          "%d scores cannot be paired with %d".formatted(baseline.length, candidate.length));
    }
    double[] differences = new double[baseline.length];
    for (int i = 0; i < differences.length; i++) {
      differences[i] = candidate[i] - baseline[i];
    }
    double[] means = means(differences);
    int notAbove = 0;
    int notBelow = 0;
    for (double mean : means) {
      notAbove += mean <= 0 ? 1 : 0;
      notBelow += mean >= 0 ? 1 : 0;
    }
    double pValue = Math.min(1, 2.0 * (1 + Math.min(notAbove, notBelow)) / (1 + resamples));
    return new Comparison(interval(differences, means), pValue);
  }

  /** The means of the draws, ascending. */
  private double[] means(double[] values) {
    if (values.length == 0) {
      throw new IllegalArgumentException("There are no scores");
    }
    SplitMix64 random = new SplitMix64(seed);
    double[] means = new double[resamples];
    for (int b = 0; b < resamples; b++) {
      double sum = 0;
      for (int i = 0; i < values.length; i++) {
        sum += values[random.below(values.length)];
      }
      means[b] = sum / values.length;
    }
    Arrays.sort(means);
    return means;
  }

  private static Interval interval(double[] values, double[] sortedMeans) {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    return new Interval(
        sum / values.length, percentile(sortedMeans, 2.5), percentile(sortedMeans, 97.5));
  }

  private static double percentile(double[] sorted, double percent) {
    double at = percent / 100 * (sorted.length - 1);
    int below = (int) at;
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
  }
}
