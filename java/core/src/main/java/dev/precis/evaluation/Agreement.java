package dev.precis.evaluation;

import dev.precis.random.SplitMix64;
import java.util.Arrays;
import java.util.function.ToDoubleFunction;

/**
 * Agreement of annotators beyond chance: 1 is perfect, 0 is what chance gives, and less is worse
 * than chance. All of it is NaN where chance alone explains everything: every rating is the same.
 */
public final class Agreement {
  private Agreement() {}

  /** The scale that gives the distance of two ratings. */
  public enum Level {
    /** Names: two are equal or not. */
    NOMINAL,
    /** Ranks: the distance is in how many ratings lie between them. */
    ORDINAL,
    /** Numbers with equal steps. */
    INTERVAL,
    /** Numbers from a true zero, none of them negative. */
    RATIO
  }

  /**
   * An estimate and its interval.
   *
   * @param low the 2.5th percentile of the bootstrap
   * @param high the 97.5th
   */
  public record Interval(double value, double low, double high) {}

  /**
   * Returns Cohen's kappa of two annotators (Cohen 1960): {@code (p_o - p_e) / (1 - p_e)}.
   *
   * @param first the category of each item, from 0
   * @param second likewise, of the same items
   * @throws IllegalArgumentException if there is no item, or not the same number of them
   */
  public static double cohenKappa(int[] first, int[] second) {
    int n = first.length;
    if (n == 0 || second.length != n) {
      throw new IllegalArgumentException(
          "Two annotators have %d and %d ratings".formatted(n, second.length));
    }
    int categories = 1 + Math.max(largest(first), largest(second));
    double[] ofFirst = new double[categories];
    double[] ofSecond = new double[categories];
    double equal = 0;
    for (int i = 0; i < n; i++) {
      ofFirst[first[i]]++;
      ofSecond[second[i]]++;
      equal += first[i] == second[i] ? 1 : 0;
    }
    double chance = 0;
    for (int c = 0; c < categories; c++) {
      chance += ofFirst[c] / n * (ofSecond[c] / n);
    }
    return beyond(equal / n, chance);
  }

  private static int largest(int[] ratings) {
    return Arrays.stream(ratings).max().orElse(0);
  }

  private static double beyond(double observed, double chance) {
    return (observed - chance) / (1 - chance);
  }

  /**
   * Returns Fleiss' kappa (Fleiss 1971).
   *
   * @param counts of each item the ratings in each category; as many ratings for every item, at
   *     least 2
   * @throws IllegalArgumentException if the items have different numbers of ratings
   */
  public static double fleissKappa(int[][] counts) {
    int raters = counts.length == 0 ? 0 : Arrays.stream(counts[0]).sum();
    if (raters < 2) {
      throw new IllegalArgumentException("Fleiss' kappa needs items with 2 ratings or more");
    }
    double[] shares = new double[counts[0].length];
    double observed = 0;
    for (int[] item : counts) {
      if (item.length != shares.length || Arrays.stream(item).sum() != raters) {
        throw new IllegalArgumentException(
            "Every item needs %d ratings in %d categories".formatted(raters, shares.length));
      }
      double pairs = 0;
      for (int c = 0; c < item.length; c++) {
        shares[c] += (double) item[c] / raters / counts.length;
        pairs += (double) item[c] * (item[c] - 1);
      }
      observed += pairs / raters / (raters - 1) / counts.length;
    }
    return beyond(observed, Arrays.stream(shares).map(p -> p * p).sum());
  }

  /**
   * Returns Krippendorff's alpha (Krippendorff 2011), for any number of annotators and missing
   * ratings: {@code 1 - D_o / D_e}.
   *
   * @param ratings of each annotator the rating of each item; NaN where there is none
   * @throws IllegalArgumentException if annotators have different numbers of items, or no item has
   *     two ratings
   */
  public static double krippendorffAlpha(double[][] ratings, Level level) {
    return alpha(units(ratings), level);
  }

  /**
   * Returns Krippendorff's alpha with an interval: items are drawn with replacement.
   *
   * @param draws such as 1,000
   */
  public static Interval krippendorffAlpha(double[][] ratings, Level level, int draws, long seed) {
    double[][] units = units(ratings);
    return bootstrap(units, draws, seed, sample -> alpha(sample, level));
  }

  /** Returns a statistic of units and its interval; draws without a value are left out. */
  static Interval bootstrap(
      double[][] units, int draws, long seed, ToDoubleFunction<double[][]> statistic) {
    SplitMix64 random = new SplitMix64(seed);
    double[] values = new double[draws];
    double[][] sample = new double[units.length][];
    for (int d = 0; d < draws; d++) {
      for (int i = 0; i < sample.length; i++) {
        sample[i] = units[random.below(units.length)];
      }
      values[d] = statistic.applyAsDouble(sample);
    }
    double[] found = Arrays.stream(values).filter(v -> !Double.isNaN(v)).sorted().toArray();
    double value = statistic.applyAsDouble(units);
    return found.length == 0
        ? new Interval(value, Double.NaN, Double.NaN)
        : new Interval(value, quantile(found, 0.025), quantile(found, 0.975));
  }

  /** Returns a quantile of sorted values, between the two that it lies between. */
  private static double quantile(double[] sorted, double q) {
    double at = q * (sorted.length - 1);
    int below = (int) at;
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
  }

  /** Returns the ratings of each item that has two or more. */
  private static double[][] units(double[][] ratings) {
    int items = ratings.length == 0 ? 0 : ratings[0].length;
    for (double[] annotator : ratings) {
      if (annotator.length != items) {
        throw new IllegalArgumentException("Every annotator needs a place for every item");
      }
    }
    double[][] units = new double[items][];
    for (int i = 0; i < items; i++) {
      int item = i;
      units[i] =
          Arrays.stream(ratings).mapToDouble(r -> r[item]).filter(v -> !Double.isNaN(v)).toArray();
    }
    double[][] pairable =
        Arrays.stream(units).filter(unit -> unit.length > 1).toArray(double[][]::new);
    if (pairable.length == 0) {
      throw new IllegalArgumentException("No item has two ratings, which agreement is about");
    }
    return pairable;
  }

  private static double alpha(double[][] units, Level level) {
    double[] values = Arrays.stream(units).flatMapToDouble(Arrays::stream).sorted().toArray();
    double[] distinct = Arrays.stream(values).distinct().toArray();
    int n = distinct.length;
    double[][] coincidences = new double[n][n];
    for (double[] unit : units) {
      for (int a = 0; a < unit.length; a++) {
        for (int b = 0; b < unit.length; b++) {
          if (a != b) {
            int i = Arrays.binarySearch(distinct, unit[a]);
            int j = Arrays.binarySearch(distinct, unit[b]);
            coincidences[i][j] += 1.0 / (unit.length - 1);
          }
        }
      }
    }
    double[] totals = new double[n];
    for (int i = 0; i < n; i++) {
      totals[i] = Arrays.stream(coincidences[i]).sum();
    }
    double observed = 0;
    double expected = 0;
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) {
        double distance = distance(distinct, totals, i, j, level);
        observed += coincidences[i][j] * distance;
        expected += totals[i] * totals[j] * distance;
      }
    }
    return 1 - (values.length - 1) * observed / expected;
  }

  /** Returns the squared distance of two values. */
  private static double distance(double[] values, double[] totals, int i, int j, Level level) {
    if (i == j) {
      return 0;
    }
    double difference =
        switch (level) {
          case NOMINAL -> 1;
          case ORDINAL -> {
            double between = -(totals[i] + totals[j]) / 2;
            for (int g = Math.min(i, j); g <= Math.max(i, j); g++) {
              between += totals[g];
            }
            yield between;
          }
          case INTERVAL -> values[i] - values[j];
          case RATIO -> (values[i] - values[j]) / (values[i] + values[j]);
        };
    return difference * difference;
  }
}
