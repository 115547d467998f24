package dev.precis.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.evaluation.Agreement.Interval;
import dev.precis.evaluation.Agreement.Level;
import dev.precis.evaluation.PairwiseRanking.Comparison;
import dev.precis.random.SplitMix64;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Examples that were published, as fractions. */
class AgreementTest {
  private static final double NONE = Double.NaN;

  /** Four observers and twelve units, with missing ratings (Krippendorff 2011, section C). */
  private static final double[][] OBSERVERS = {
    {1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE},
    {1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3},
    {NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE},
    {1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE},
  };

  @Test
  void krippendorffsExample() {
    assertEquals(113.0 / 152, Agreement.krippendorffAlpha(OBSERVERS, Level.NOMINAL), 1e-12);
    assertEquals(108577.0 / 133160, Agreement.krippendorffAlpha(OBSERVERS, Level.ORDINAL), 1e-12);
    assertEquals(951.0 / 1120, Agreement.krippendorffAlpha(OBSERVERS, Level.INTERVAL), 1e-12);
    assertEquals(18222619.0 / 22852465, Agreement.krippendorffAlpha(OBSERVERS, Level.RATIO), 1e-12);
  }

  @Test
  void theIntervalHoldsTheValueAndDependsOnTheSeedAlone() {
    Interval interval = Agreement.krippendorffAlpha(OBSERVERS, Level.NOMINAL, 500, 3);
    assertEquals(113.0 / 152, interval.value(), 1e-12);
    assertTrue(interval.low() < interval.value() && interval.value() < interval.high());
    assertTrue(interval.low() > 0.2 && interval.high() <= 1, interval.toString());
    assertEquals(interval, Agreement.krippendorffAlpha(OBSERVERS, Level.NOMINAL, 500, 3));
  }

  /** Fourteen annotators, ten items, five categories: kappa 0.210. */
  @Test
  void fleissKappa() {
    int[][] counts = {
      {0, 0, 0, 0, 14},
      {0, 2, 6, 4, 2},
      {0, 0, 3, 5, 6},
      {0, 3, 9, 2, 0},
      {2, 2, 8, 1, 1},
      {7, 7, 0, 0, 0},
      {3, 2, 6, 3, 0},
      {2, 5, 3, 2, 2},
      {6, 5, 2, 1, 0},
      {0, 2, 2, 3, 7},
    };
    assertEquals(4211.0 / 20059, Agreement.fleissKappa(counts), 1e-12);
    counts[3][0]++;
    assertThrows(IllegalArgumentException.class, () -> Agreement.fleissKappa(counts));
  }

  /** Fifty items: both say yes to 20 and no to 15, one alone to 5 and the other alone to 10. */
  @Test
  void cohenKappa() {
    int[] first = new int[50];
    int[] second = new int[50];
    Arrays.fill(first, 0, 25, 1);
    Arrays.fill(second, 0, 20, 1);
    Arrays.fill(second, 25, 35, 1);
    assertEquals(0.4, Agreement.cohenKappa(first, second), 1e-12);
    assertEquals(1, Agreement.cohenKappa(first, first), 1e-12);
    assertTrue(Double.isNaN(Agreement.cohenKappa(new int[3], new int[3])));
    assertThrows(
        IllegalArgumentException.class, () -> Agreement.cohenKappa(new int[3], new int[2]));
  }

  /** Strengths are found again from comparisons that they made. */
  @Test
  void strengthsAreFoundAgain() {
    double[] strengths = {-0.8, -0.1, 0.3, 0.6};
    SplitMix64 random = new SplitMix64(5);
    List<Comparison> comparisons = new ArrayList<>();
    for (int n = 0; n < 4000; n++) {
      int first = random.below(4);
      int second = (first + 1 + random.below(3)) % 4;
      double p = 1 / (1 + Math.exp(strengths[second] - strengths[first]));
      comparisons.add(new Comparison(first, second, random.uniform() < p ? 1 : 0));
    }
    double[] found = PairwiseRanking.strengths(4, comparisons);
    for (int i = 0; i < 4; i++) {
      assertEquals(strengths[i], found[i], 0.1);
    }
    List<Interval> intervals = PairwiseRanking.intervals(4, comparisons, 100, 1);
    for (int i = 0; i < 4; i++) {
      assertEquals(found[i], intervals.get(i).value(), 1e-12);
      assertTrue(intervals.get(i).low() < found[i] && found[i] < intervals.get(i).high());
    }
  }

  @Test
  void twoCandidatesAreTheOddsOfTheirWins() {
    List<Comparison> comparisons = new ArrayList<>();
    for (int n = 0; n < 30_000; n++) {
      comparisons.add(new Comparison(0, 1, n % 3 == 0 ? 0 : 1));
    }
    double[] found = PairwiseRanking.strengths(2, comparisons);
    assertEquals(Math.log(2), found[0] - found[1], 1e-3);
    assertEquals(0, PairwiseRanking.strengths(2, List.of(new Comparison(0, 1, 0.5)))[0], 1e-12);
    assertTrue(Double.isFinite(PairwiseRanking.strengths(3, List.of(new Comparison(0, 1, 1)))[0]));
    assertThrows(
        IllegalArgumentException.class,
        () -> PairwiseRanking.strengths(2, List.of(new Comparison(1, 1, 1))));
  }

  /** Ten tosses: 2 * (1 + 10) / 1024 for nine heads or more. */
  @Test
  void positionBiasIsTheExactTest() {
    assertEquals(22.0 / 1024, PairwiseRanking.positionBias(9, 10), 1e-12);
    assertEquals(22.0 / 1024, PairwiseRanking.positionBias(1, 10), 1e-12);
    assertEquals(1, PairwiseRanking.positionBias(5, 10), 1e-12);
    assertEquals(1, PairwiseRanking.positionBias(0, 0), 1e-12);
    assertTrue(PairwiseRanking.positionBias(900, 2000) < 1e-4);
  }
}
