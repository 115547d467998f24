package dev.precis.evaluation;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import org.junit.jupiter.api.Test;

final class HolmTest {
  /** By hand: 4 x 0.01, then 3 x 0.02 and 2 x 0.03, which is not below it, then 0.04 likewise. */
  @Test
  void stepsDownAndNeverFalls() {
    assertArrayEquals(
        new double[] {0.06, 0.04, 0.06, 0.06},
        Holm.adjust(new double[] {0.04, 0.01, 0.03, 0.02}),
        1e-12);
  }

  @Test
  void staysAProbability() {
    assertArrayEquals(new double[] {1, 1}, Holm.adjust(new double[] {0.9, 0.6}));
    assertArrayEquals(new double[] {0.3}, Holm.adjust(new double[] {0.3}));
    assertArrayEquals(new double[0], Holm.adjust(new double[0]));
  }
}
