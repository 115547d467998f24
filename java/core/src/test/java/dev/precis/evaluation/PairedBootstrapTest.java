package dev.precis.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.evaluation.PairedBootstrap.Comparison;
import dev.precis.evaluation.PairedBootstrap.Interval;
import dev.precis.random.SplitMix64;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

final class PairedBootstrapTest {
  private final PairedBootstrap bootstrap = new PairedBootstrap(7, 2000);

  /** Near enough normal: the sum of twelve uniform numbers. */
  private static double[] normal(long seed, int count, double mean, double deviation) {
    SplitMix64 random = new SplitMix64(seed);
    double[] values = new double[count];
    for (int i = 0; i < count; i++) {
      double sum = -6;
      for (int k = 0; k < 12; k++) {
        sum += (random.next() >>> 11) * 0x1p-53;
      }
      values[i] = mean + deviation * sum;
    }
    return values;
  }

  @Test
  void intervalIsThatOfTheNormalDistribution() {
    double[] scores = normal(1, 400, 0.4, 0.1);
    Interval interval = bootstrap.mean(scores);
    double mean = Arrays.stream(scores).average().orElseThrow();
    double variance = Arrays.stream(scores).map(x -> (x - mean) * (x - mean)).sum() / 400;
    double half = 1.96 * Math.sqrt(variance / 400);
    assertEquals(mean, interval.mean(), 1e-12);
    assertEquals(mean - half, interval.low(), 0.1 * half);
    assertEquals(mean + half, interval.high(), 0.1 * half);
  }

  /** 95 % of intervals hold the true mean: 190 of 200, within three standard deviations. */
  @Test
  void intervalsCoverTheTruth() {
    int covered = 0;
    for (int i = 0; i < 200; i++) {
      Interval interval = bootstrap.mean(normal(100 + i, 100, 0.4, 0.1));
      covered += interval.low() <= 0.4 && 0.4 <= interval.high() ? 1 : 0;
    }
    assertEquals(190, covered, 10);
  }

  @Test
  void pairingSeesWhatTheMeansHide() {
    double[] baseline = normal(2, 100, 0.4, 0.2);
    double[] noise = normal(3, 100, 0.01, 0.01);
    double[] candidate = new double[100];
    double[] unpaired = new double[100];
    for (int i = 0; i < 100; i++) {
      candidate[i] = baseline[i] + noise[i];
      unpaired[(i + 37) % 100] = candidate[i];
    }
    Comparison paired = bootstrap.compare(baseline, candidate);
    assertTrue(paired.difference().excludesZero());
    assertEquals(2.0 / 2001, paired.pValue());
    Comparison shuffled = bootstrap.compare(baseline, unpaired);
    assertEquals(paired.difference().mean(), shuffled.difference().mean(), 1e-12);
    assertFalse(shuffled.difference().excludesZero());
    assertTrue(shuffled.pValue() > 0.3);
    // The other way round all signs change.
    Comparison reversed = bootstrap.compare(candidate, baseline);
    assertEquals(-paired.difference().low(), reversed.difference().high(), 1e-12);
    assertEquals(paired.pValue(), reversed.pValue());
  }

  /** Under no difference p is below 0.05 in 5 % of 400 cases: 20, within three deviations. */
  @Test
  void pValueIsCalibrated() {
    int small = 0;
    for (int i = 0; i < 400; i++) {
      double[] one = normal(1000 + i, 100, 0.4, 0.1);
      double[] other = normal(5000 + i, 100, 0.4, 0.1);
      small += bootstrap.compare(one, other).pValue() < 0.05 ? 1 : 0;
    }
    assertEquals(20, small, 14);
  }

  @Test
  void pValueAndIntervalAgree() {
    for (int i = 0; i < 200; i++) {
      double[] one = normal(9000 + i, 50, 0.40, 0.1);
      double[] other = normal(7000 + i, 50, 0.44, 0.1);
      Comparison comparison = bootstrap.compare(one, other);
      if (Math.abs(comparison.pValue() - 0.05) > 0.002) {
        assertEquals(comparison.difference().excludesZero(), comparison.pValue() < 0.05);
      }
    }
  }

  @Test
  void equalSystemsDoNotDiffer() {
    double[] scores = normal(4, 20, 0.4, 0.1);
    Comparison same = bootstrap.compare(scores, scores);
    assertEquals(new Interval(0, 0, 0), same.difference());
    assertEquals(1, same.pValue());
    assertFalse(same.difference().excludesZero());
  }

  @Test
  void dependsOnTheSeedAlone() {
    double[] scores = normal(5, 30, 0.4, 0.1);
    Interval interval = bootstrap.mean(scores);
    assertEquals(interval, new PairedBootstrap(7, 2000).mean(scores));
    assertNotEquals(interval, new PairedBootstrap(8, 2000).mean(scores));
    assertEquals(new Interval(0.5, 0.5, 0.5), bootstrap.mean(new double[] {0.5}));
  }

  @Test
  void refusesWhatCannotBe() {
    assertThrows(IllegalArgumentException.class, () -> bootstrap.mean(new double[0]));
    assertThrows(
        IllegalArgumentException.class, () -> bootstrap.compare(new double[2], new double[3]));
    assertThrows(IllegalArgumentException.class, () -> new PairedBootstrap(1, 0));
  }
}
