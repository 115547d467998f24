package dev.precis.cli.page;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Locale;

/** Formats numbers for people: about four digits, and small ones in scientific notation. */
public final class Numbers {
  private static final double SMALLEST_PLAIN = 1e-3;
  private static final double LARGEST_PLAIN = 1e7;

  private Numbers() {}

  /** Formats a number: 1,234, 12.34, 0.0123, 2.5e-5; a dash stands for NaN. */
  public static String of(double value) {
    double size = Math.abs(value);
    if (Double.isNaN(value)) {
      return "-";
    }
    if (size == 0) {
      return "0";
    }
    if (size < SMALLEST_PLAIN || size >= LARGEST_PLAIN) {
      return Double.isInfinite(value) ? "" + value : scientific(value);
    }
    String format = size >= 1000 ? "%,.0f" : size >= 100 ? "%.1f" : size >= 10 ? "%.2f" : "%.4f";
    return String.format(Locale.ROOT, format, value);
  }

  /** Formats a difference, which has a sign also where it is positive. */
  public static String signed(double value) {
    return value > 0 ? "+" + of(value) : of(value);
  }

  /** Formats a duration: 4.1 s, 3 min 20 s, 2 h 5 min. */
  public static String time(double seconds) {
    if (seconds < 60) {
      return String.format(Locale.ROOT, "%.1f s", seconds);
    }
    long whole = Math.round(seconds);
    return whole < 3600
        ? "%d min %d s".formatted(whole / 60, whole % 60)
        : "%,d h %d min".formatted(whole / 3600, whole / 60 % 60);
  }

  private static String scientific(double value) {
    return scientific(new BigDecimal(value).round(new MathContext(3)));
  }

  /** Formats a number other than zero with all of its digits and its power of ten: 2.5e-5. */
  public static String scientific(BigDecimal value) {
    BigDecimal digits = value.stripTrailingZeros();
    int exponent = digits.precision() - digits.scale() - 1;
    return digits.movePointLeft(exponent).toPlainString() + "e" + exponent;
  }
}
