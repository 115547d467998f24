package dev.precis.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.evaluation.PairedBootstrap.Interval;
import org.junit.jupiter.api.Test;

final class ProportionTest {
  /** 0 of 10 and 9 of 10 by statsmodels' proportion_confint(method="wilson"). */
  @Test
  void sharesHaveWilsonsInterval() {
    Interval none = Proportion.wilson(0, 10);
    assertEquals(0, none.low(), 1e-12);
    assertEquals(0.277533, none.high(), 1e-6);
    Interval most = Proportion.wilson(0.9, 10);
    assertEquals(0.595850, most.low(), 1e-6);
    assertEquals(0.982124, most.high(), 1e-6);
  }

  /** By hand from the formula: nothing happened in 10 trials, before and after. */
  @Test
  void twoSharesOfZeroDifferByLessThanTheirLimits() {
    Interval both = Proportion.difference(new double[10], new double[10]);
    assertEquals(0, both.mean());
    assertEquals(-0.277533, both.low(), 1e-6);
    assertEquals(0.277533, both.high(), 1e-6);
  }

  @Test
  void pairsThatAgreeNarrowTheInterval() {
    double[] before = {1, 1, 1, 1, 0, 0, 0, 0, 0, 0};
    double[] alike = {1, 1, 1, 1, 1, 0, 0, 0, 0, 0};
    double[] unlike = {0, 0, 0, 0, 0, 1, 1, 1, 1, 1};
    Interval narrow = Proportion.difference(before, alike);
    Interval wide = Proportion.difference(before, unlike);
    assertEquals(0.1, narrow.mean(), 1e-12);
    assertEquals(0.1, wide.mean(), 1e-12);
    assertTrue(narrow.high() - narrow.low() < 0.6 * (wide.high() - wide.low()));
    assertTrue(narrow.low() < 0.1 && narrow.high() > 0.1);
  }

  @Test
  void trialsMustBePaired() {
    assertThrows(
        IllegalArgumentException.class,
        () -> Proportion.difference(new double[] {1}, new double[] {1, 0}));
    assertThrows(
        IllegalArgumentException.class, () -> Proportion.difference(new double[0], new double[0]));
  }
}
