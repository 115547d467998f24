package dev.precis.cli.chart;

import dev.precis.cli.page.Numbers;
import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;

/** Chooses round numbers on an axis and writes them so that no two look the same. */
final class Ticks {
  /** From here on thousands are written as k, millions as M and so on. */
  private static final BigDecimal LARGE = BigDecimal.valueOf(10_000);

  /**
   * Steps below {@code FINE} between numbers below {@code SMALL} are written with powers of ten.
   */
  private static final BigDecimal FINE = new BigDecimal("0.001");

  private static final BigDecimal SMALL = new BigDecimal("0.01");
  private static final String PREFIXES = "kMGT";
  private static final int MAX_DECADES = 6;

  private Ticks() {}

  /**
   * Returns about {@code wanted} multiples of 1, 2 or 5 times a power of ten within a range.
   *
   * @param low finite, below {@code high}
   * @param whole whether only whole numbers make sense
   */
  static List<Tick> linear(double low, double high, int wanted, boolean whole) {
    BigDecimal step = step((high - low) / wanted);
    if (whole) {
      step = step.max(BigDecimal.ONE);
    }
    BigDecimal end = BigDecimal.valueOf(high);
    List<BigDecimal> values = new ArrayList<>();
    BigDecimal at = BigDecimal.valueOf(low).divide(step, 0, RoundingMode.CEILING).multiply(step);
    for (; at.compareTo(end) <= 0; at = at.add(step)) {
      values.add(at);
    }
    BigDecimal largest =
        values.stream().map(BigDecimal::abs).max(BigDecimal::compareTo).orElse(BigDecimal.ZERO);
    List<Tick> ticks = new ArrayList<>();
    for (BigDecimal value : values) {
      ticks.add(new Tick(value.doubleValue(), label(value, step, largest)));
    }
    return ticks;
  }

  private static BigDecimal step(double least) {
    BigDecimal unit = BigDecimal.ONE.scaleByPowerOfTen((int) Math.floor(Math.log10(least)));
    for (int factor : new int[] {1, 2, 5}) {
      BigDecimal step = unit.multiply(BigDecimal.valueOf(factor));
      if (step.doubleValue() >= least) {
        return step;
      }
    }
    return unit.multiply(BigDecimal.TEN);
  }

  private static String label(BigDecimal value, BigDecimal step, BigDecimal largest) {
    if (value.signum() == 0) {
      return "0";
    }
    if (largest.compareTo(LARGE) >= 0) {
      int digits = largest.precision() - largest.scale();
      int thousands = (digits - 1) / 3;
      return thousands > PREFIXES.length()
          ? Numbers.scientific(value)
          : plain(value.movePointLeft(3 * thousands)) + PREFIXES.charAt(thousands - 1);
    }
    if (step.compareTo(FINE) < 0 && largest.compareTo(SMALL) < 0) {
      return Numbers.scientific(value);
    }
    return value.setScale(Math.max(0, step.stripTrailingZeros().scale())).toPlainString();
  }

  private static String plain(BigDecimal value) {
    return value.stripTrailingZeros().toPlainString();
  }

  /**
   * Returns powers of ten within a range, and where they are few, 2 and 5 times them too.
   *
   * @param low above 0, below {@code high}
   */
  static List<Tick> logarithmic(double low, double high) {
    int first = (int) Math.floor(Math.log10(low));
    int last = (int) Math.ceil(Math.log10(high));
    int every = Math.ceilDiv(last - first, MAX_DECADES);
    List<Tick> ticks = new ArrayList<>();
    for (int decade = first; decade <= last; decade += every) {
      for (int factor : last - first <= 3 ? new int[] {1, 2, 5} : new int[] {1}) {
        BigDecimal value = BigDecimal.valueOf(factor).scaleByPowerOfTen(decade);
        if (value.doubleValue() >= low && value.doubleValue() <= high) {
          boolean plain = value.compareTo(FINE) >= 0 && value.compareTo(LARGE) < 0;
          ticks.add(
              new Tick(value.doubleValue(), plain ? plain(value) : Numbers.scientific(value)));
        }
      }
    }
    return ticks;
  }

  /** Returns the largest of 1, 2 and 5 times a power of ten that is no larger than a number. */
  static double roundDown(double value) {
    double unit = Math.pow(10, Math.floor(Math.log10(value)));
    return value >= 5 * unit ? 5 * unit : value >= 2 * unit ? 2 * unit : unit;
  }

  /** Returns the smallest of 1, 2 and 5 times a power of ten that is no smaller than a number. */
  static double roundUp(double value) {
    double down = roundDown(value);
    BigDecimal next = step(value);
    return down >= value ? down : next.round(new MathContext(1)).doubleValue();
  }
}
