package dev.precis.evaluation;

import dev.precis.random.SplitMix64;
import java.util.Arrays;

/**
 * Tests by randomization whether one column of a table differs from the others, when the rows are
 * of different difficulty (Fisher: The Design of Experiments, 1935). If nothing sets the column
 * apart, then the values of a row could as well stand in any other order. The statistic is the mean
 * over rows of
 *
 * <pre>
 *   d_r = x_r,column - mean of the other values of row r
 * </pre>
 *
 * <p>It is compared with B tables in which each row's value for the column is one of that row at
 * random. The two-sided p-value is
 *
 * <pre>
 *   p = (1 + #{|statistic_b| &gt;= |statistic|}) / (1 + B)
 * </pre>
 *
 * <p>Unlike the bootstrap's, it is exact for few rows and skewed values. With two columns it is the
 * test of paired differences by random signs. Immutable.
 */
public final class PermutationTest {
  /** Rounding of sums in another order must not tell equal statistics apart. */
  private static final double ROUNDING = 1e-9;

  private final long seed;
  private final int resamples;

  public PermutationTest(long seed) {
    this(seed, PairedBootstrap.DEFAULT_RESAMPLES);
  }

  /**
   * Creates a test.
   *
   * @param resamples number of random tables; 1 or more
   */
  public PermutationTest(long seed, int resamples) {
    if (resamples < 1) {
      throw new IllegalArgumentException("Resamples must be 1 or more, not " + resamples);
    }
    this.seed = seed;
    this.resamples = resamples;
  }

  /** Returns the difference of a value from the mean of the other values of its row. */
  public static double difference(double[] row, int column) {
    double sum = 0;
    for (int i = 0; i < row.length; i++) {
      sum += i == column ? 0 : row[i];
    }
    return row[column] - sum / (row.length - 1);
  }

  /**
   * Returns the two-sided p-value of the hypothesis that a column is like the others.
   *
   * @param rows at least one, each with the same number of values, two or more
   */
  public double pValue(double[][] rows, int column) {
    if (rows.length == 0 || rows[0].length < 2) {
      throw new IllegalArgumentException("A test needs a row, and two columns to compare");
    }
    double[][] differences = new double[rows.length][];
    double observed = 0;
    double size = 0;
    for (int r = 0; r < rows.length; r++) {
      double[] row = rows[r];
      differences[r] = new double[row.length];
      for (int i = 0; i < row.length; i++) {
        differences[r][i] = difference(row, i);
      }
      observed += differences[r][column];
      size += Arrays.stream(differences[r]).map(Math::abs).max().orElseThrow();
    }
    double threshold = Math.abs(observed) - ROUNDING * size;
    SplitMix64 random = new SplitMix64(seed);
    int asLarge = 0;
    for (int b = 0; b < resamples; b++) {
      double sum = 0;
      for (double[] row : differences) {
        sum += row[random.below(row.length)];
      }
      asLarge += Math.abs(sum) >= threshold ? 1 : 0;
    }
    return (1.0 + asLarge) / (1.0 + resamples);
  }

  /**
   * Returns the two-sided p-value of the hypothesis that a candidate scores as the baseline.
   *
   * @param baseline its scores, one for each example; at least one
   * @param candidate its scores on the same examples
   */
  public double pValue(double[] baseline, double[] candidate) {
    double[][] rows = new double[baseline.length][];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = new double[] {baseline[i], candidate[i]};
    }
    return pValue(rows, 1);
  }
}
