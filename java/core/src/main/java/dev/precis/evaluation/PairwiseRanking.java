package dev.precis.evaluation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Ranks candidates by comparisons of two: the strengths of Bradley and Terry (1952), found by the
 * iteration of Hunter (2004). A tie is half a win for each.
 */
public final class PairwiseRanking {
  private static final int MAX_ITERATIONS = 10_000;
  private static final double TOLERANCE = 1e-12;

  private PairwiseRanking() {}

  /**
   * One comparison.
   *
   * @param score of the first candidate: 1 where it won, 0.5 for a tie, 0
   */
  public record Comparison(int first, int second, double score) {}

  /**
   * Returns the strength of each candidate in natural logarithms, with mean 0: the probability that
   * i beats j is {@code 1 / (1 + exp(s_j - s_i))}. A candidate that always wins or loses would be
   * infinitely strong or weak, so each one also ties with a candidate of strength 0.
   *
   * @throws IllegalArgumentException if a comparison is not of two different candidates
   */
  public static double[] strengths(int candidates, List<Comparison> comparisons) {
    double[][] wins = new double[candidates][candidates];
    for (Comparison each : comparisons) {
      if (each.first == each.second
          || Math.min(each.first, each.second) < 0
          || Math.max(each.first, each.second) >= candidates) {
        throw new IllegalArgumentException(
            each + " is not of two of " + candidates + " candidates");
      }
      wins[each.first][each.second] += each.score;
      wins[each.second][each.first] += 1 - each.score;
    }
    double[] p = new double[candidates];
    Arrays.fill(p, 1);
    for (int iteration = 0; iteration < MAX_ITERATIONS; iteration++) {
      double change = 0;
      double[] next = new double[candidates];
      for (int i = 0; i < candidates; i++) {
        double won = 0.5;
        double met = 1 / (p[i] + 1);
        for (int j = 0; j < candidates; j++) {
          won += wins[i][j];
          met += j == i ? 0 : (wins[i][j] + wins[j][i]) / (p[i] + p[j]);
        }
        next[i] = won / met;
        change = Math.max(change, Math.abs(Math.log(next[i] / p[i])));
      }
      p = next;
      if (change < TOLERANCE) {
        break;
      }
    }
    double[] strengths = new double[candidates];
    double mean = 0;
    for (int i = 0; i < candidates; i++) {
      strengths[i] = Math.log(p[i]);
      mean += strengths[i] / candidates;
    }
    for (int i = 0; i < candidates; i++) {
      strengths[i] -= mean;
    }
    return strengths;
  }

  /** Returns the strengths with intervals: comparisons are drawn with replacement. */
  public static List<Agreement.Interval> intervals(
      int candidates, List<Comparison> comparisons, int draws, long seed) {
    double[][] units = new double[comparisons.size()][];
    for (int i = 0; i < units.length; i++) {
      Comparison each = comparisons.get(i);
      units[i] = new double[] {each.first, each.second, each.score};
    }
    List<Agreement.Interval> intervals = new ArrayList<>();
    for (int c = 0; c < candidates; c++) {
      int candidate = c;
      intervals.add(
          Agreement.bootstrap(
              units, draws, seed, sample -> strengths(candidates, of(sample))[candidate]));
    }
    return intervals;
  }

  private static List<Comparison> of(double[][] units) {
    List<Comparison> comparisons = new ArrayList<>();
    for (double[] unit : units) {
      comparisons.add(new Comparison((int) unit[0], (int) unit[1], unit[2]));
    }
    return comparisons;
  }

  /**
   * Returns the two-sided p-value of an exact binomial test that the side on which a candidate
   * stands decides nothing: the probability that chance favors one side at least as much.
   *
   * @param left choices of what stood on the left, of all that were no ties
   */
  public static double positionBias(int left, int all) {
    double deviation = Math.abs(left - all / 2.0);
    double logHalf = all * Math.log(0.5);
    double logChoose = 0;
    double p = 0;
    for (int k = 0; k <= all; k++) {
      if (k > 0) {
        logChoose += Math.log(all - k + 1) - Math.log(k);
      }
      if (Math.abs(k - all / 2.0) >= deviation - 1e-9) {
        p += Math.exp(logChoose + logHalf);
      }
    }
    return Math.min(1, p);
  }
}
