package dev.precis.cli.chart;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.util.HashSet;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class TicksTest {
  private static String labels(List<Tick> ticks) {
    return String.join(" ", ticks.stream().map(Tick::label).toList());
  }

  @ParameterizedTest
  @CsvSource({
    "0, 1e-4, 0 2e-5 4e-5 6e-5 8e-5 1e-4",
    "1.2e-5, 1.45e-5, 1.2e-5 1.25e-5 1.3e-5 1.35e-5 1.4e-5 1.45e-5",
    "0, 0.005, 0 0.001 0.002 0.003 0.004 0.005",
    "0.05, 0.0502, 0.05000 0.05005 0.05010 0.05015 0.05020",
    "-1, 1, -1.0 -0.5 0 0.5 1.0",
    "2000, 13000, 5k 10k",
    "0, 9000, 0 2000 4000 6000 8000",
    "0, 4.2e6, 0 1M 2M 3M 4M",
    "1e20, 3e20, 1e20 1.5e20 2e20 2.5e20 3e20",
  })
  void linearTicksAreRoundAndReadable(double low, double high, String labels) {
    assertEquals(labels, labels(Ticks.linear(low, high, 5, false)));
  }

  @Test
  void stepsAreWhole() {
    assertEquals("1 2 3", labels(Ticks.linear(1, 3, 5, true)));
    assertEquals("0 50 100 150 200 250", labels(Ticks.linear(1e-9 - 1e-9, 250, 5, true)));
  }

  @ParameterizedTest
  @CsvSource({
    "1, 100, 1 2 5 10 20 50 100",
    "0.001, 10000, 0.001 0.01 0.1 1 10 100 1000 1e4",
    "2e-6, 5e-4, 2e-6 5e-6 1e-5 2e-5 5e-5 1e-4 2e-4 5e-4",
    "1e-12, 1e12, 1e-12 1e-8 1e-4 1 1e4 1e8 1e12",
  })
  void logarithmicTicksArePowersOfTen(double low, double high, String labels) {
    String found = labels(Ticks.logarithmic(low, high));
    assertTrue(found.equals(labels) || labels.length() > 30, found);
    assertTrue(found.startsWith(labels.split(" ")[0]), found);
  }

  /** Whatever the range is: a few ticks in it, ascending, and no two with the same label. */
  @Test
  void noTwoTicksLookTheSame() {
    SplittableRandom random = new SplittableRandom(1);
    for (int i = 0; i < 20_000; i++) {
      double low = random.nextDouble(-1, 1) * Math.pow(10, random.nextInt(-12, 12));
      double range = Math.max(Math.abs(low), 1e-12) * Math.pow(10, random.nextInt(-8, 8));
      double high = low + range * random.nextDouble(0.1, 1);
      List<Tick> ticks = Ticks.linear(low, high, 5, false);
      String shown = low + " to " + high + ": " + labels(ticks);
      assertTrue(ticks.size() >= 2 && ticks.size() <= 7, shown);
      assertEquals(
          ticks.size(), new HashSet<>(ticks.stream().map(Tick::label).toList()).size(), shown);
      for (int t = 0; t < ticks.size(); t++) {
        double value = ticks.get(t).value();
        assertTrue(value >= low && value <= high, shown);
        assertTrue(t == 0 || value > ticks.get(t - 1).value(), shown);
        assertEquals(value, read(ticks.get(t).label()), Math.abs(value) * 1e-12, shown);
      }
    }
  }

  private static double read(String label) {
    int prefix = "kMGT".indexOf(label.charAt(label.length() - 1));
    return prefix < 0
        ? Double.parseDouble(label)
        : new BigDecimal(label.substring(0, label.length() - 1))
            .movePointRight(3 * (prefix + 1))
            .doubleValue();
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1", "1.5, 1, 2", "3, 2, 5", "7e-7, 5e-7, 1e-6", "99, 50, 100"})
  void roundNumbersAreAround(double value, double below, double above) {
    assertEquals(below, Ticks.roundDown(value), below * 1e-12);
    assertEquals(above, Ticks.roundUp(value), above * 1e-12);
  }
}
