package dev.precis.evaluation;

import dev.precis.random.SplitMix64;
import java.util.Arrays;

/**
 * Paired bootstrap: confidence intervals of means over test examples, and significance of the
 * difference of two systems (Koehn: Statistical Significance Tests for Machine Translation
 * Evaluation, 2004).
 *
 * <p>From n examples, n are resampled with replacement, B times; m_b is the mean of the b-th
 * sample. The 95 % confidence interval goes from the 2.5th to the 97.5th percentile of the m_b,
 * interpolated linearly. Two systems are compared on the differences of their scores example by
 * example, so that the difficulty of an example cancels out. The two-sided p-value counts the
 * samples that contradict:
 *
 * <pre>
 *   p = min(1, 2 (1 + min(#{m_b &lt;= 0}, #{m_b &gt;= 0})) / (1 + B))
 * </pre>
 *
 * <p>Samples depend on seed and n alone, so that all metrics and systems share them. Immutable.
 */
public final class PairedBootstrap {
  /** Default number of samples: the smallest p-value is 2 / 10,001. */
  public static final int DEFAULT_RESAMPLES = 10_000;

  private final long seed;
  private final int resamples;

  /**
   * Mean and its 95 % confidence interval.
   *
   * @param mean mean of the examples themselves, not of the samples
   */
  public record Interval(double mean, double low, double high) {
    /** Returns true if the interval excludes zero. */
    public boolean excludesZero() {
      return low > 0 || high < 0;
    }
  }

  /**
   * Comparison of a candidate with a baseline.
   *
   * @param difference candidate minus baseline
   * @param pValue two-sided p-value of the hypothesis that there is no difference
   */
  public record Comparison(Interval difference, double pValue) {}

  public PairedBootstrap(long seed) {
    this(seed, DEFAULT_RESAMPLES);
  }

  /**
   * Creates a bootstrap.
   *
   * @param resamples number of samples; 1 or more
   */
  public PairedBootstrap(long seed, int resamples) {
    if (resamples < 1) {
      throw new IllegalArgumentException("Resamples must be 1 or more, not " + resamples);
    }
    this.seed = seed;
    this.resamples = resamples;
  }

  /**
   * Returns the mean of scores and its confidence interval.
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

  /** Returns the means of the samples, ascending. */
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
