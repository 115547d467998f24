package dev.precis.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.random.SplitMix64;
import org.junit.jupiter.api.Test;

class CalibrationTest {
  @Test
  void byHand() {
    // Bins of a width of 0.05 from 0.5 on: two answers in the first, one in the last, a tie.
    Calibration found =
        Calibration.of(0.5, new double[] {0.51, 0.53, 1.0, 0.5}, new double[] {1, 0, 1, 0.5});
    assertEquals(2.5 / 4, found.accuracy());
    assertEquals(10, found.bins().size());
    Calibration.Bin first = found.bins().getFirst();
    assertEquals(3, first.count());
    assertEquals((0.51 + 0.53 + 0.5) / 3, first.confidence(), 1e-12);
    assertEquals(0.5, first.accuracy());
    assertEquals(0.5, first.low());
    assertEquals(0.55, first.high(), 1e-12);
    Calibration.Bin last = found.bins().getLast();
    assertEquals(1, last.count());
    assertEquals(1, last.high());
    assertEquals(3.0 / 4 * Math.abs(0.5 - first.confidence()), found.ece(), 1e-12);
    assertTrue(Double.isNaN(found.bins().get(4).accuracy()));
  }

  @Test
  void whoIsRightAsOftenAsSureIsCalibrated() {
    SplitMix64 random = new SplitMix64(3);
    int n = 200_000;
    double[] sure = new double[n];
    double[] right = new double[n];
    double[] boaster = new double[n];
    for (int i = 0; i < n; i++) {
      sure[i] = 0.25 + 0.75 * random.uniform();
      right[i] = random.uniform() < sure[i] ? 1 : 0;
      boaster[i] = 1 - (1 - sure[i]) / 4;
    }
    assertTrue(Calibration.of(0.25, sure, right).ece() < 0.01);
    assertEquals(0.375 * 0.75, Calibration.of(0.25, boaster, right).ece(), 0.01);
  }

  @Test
  void answersAndConfidencesAreAsMany() {
    assertThrows(
        IllegalArgumentException.class,
        () -> Calibration.of(0.5, new double[] {1}, new double[] {}));
    assertThrows(
        IllegalArgumentException.class, () -> Calibration.of(0.5, new double[0], new double[0]));
  }
}
