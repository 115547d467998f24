package dev.precis.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.random.SplitMix64;
import org.junit.jupiter.api.Test;

final class PermutationTestTest {
  private final PermutationTest test = new PermutationTest(3);

  /** Of the 2^6 signs of six equal differences, two are as far from zero. */
  @Test
  void smallCasesAreExact() {
    double[] zeros = new double[6];
    double[] ones = {1, 1, 1, 1, 1, 1};
    assertEquals(2.0 / 64, test.pValue(zeros, ones), 0.005);
    assertEquals(2.0 / 64, test.pValue(ones, zeros), 0.005);
    double[][] rows = new double[3][];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = new double[] {0, 9, 0, 0};
    }
    assertEquals(1.0 / 64, test.pValue(rows, 1), 0.004);
  }

  @Test
  void equalColumnsDoNotDiffer() {
    assertEquals(1, test.pValue(new double[] {0.1, 0.7}, new double[] {0.1, 0.7}));
  }

  @Test
  void theDifferenceIsFromTheMeanOfTheOthers() {
    assertEquals(3, PermutationTest.difference(new double[] {1, 5, 3}, 1), 1e-12);
  }

  /** The bootstrap's p-values are too small here: rare large values, 12 rows. */
  @Test
  void falseFindingsAreAsRareAsTheLevelSays() {
    SplitMix64 random = new SplitMix64(11);
    PermutationTest quick = new PermutationTest(5, 500);
    int found = 0;
    int trials = 2000;
    for (int t = 0; t < trials; t++) {
      double[][] rows = new double[12][4];
      for (double[] row : rows) {
        for (int i = 0; i < row.length; i++) {
          row[i] = 0.05 * random.uniform() + (random.chance(15) ? 0.9 : 0);
        }
      }
      found += quick.pValue(rows, 2) < 0.05 ? 1 : 0;
    }
    // 5 % with a standard error of 0.5 %.
    assertEquals(0.05, (double) found / trials, 0.015);
  }

  @Test
  void theSeedDecides() {
    double[] before = {0.1, 0.4, 0.2, 0.9, 0.3};
    double[] after = {0.3, 0.5, 0.1, 0.8, 0.6};
    double p = test.pValue(before, after);
    assertEquals(p, new PermutationTest(3).pValue(before, after));
    assertTrue(p > 0.1 && p < 0.9, "p = " + p);
  }

  @Test
  void somethingMustBeCompared() {
    assertThrows(IllegalArgumentException.class, () -> test.pValue(new double[][] {{1}, {2}}, 0));
    assertThrows(IllegalArgumentException.class, () -> test.pValue(new double[0][], 0));
    assertThrows(IllegalArgumentException.class, () -> new PermutationTest(1, 0));
  }
}
