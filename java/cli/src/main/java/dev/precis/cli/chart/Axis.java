package dev.precis.cli.chart;

import java.util.Arrays;
import java.util.List;

/**
 * An axis: its range and its ticks.
 *
 * @param logarithmic whether equal distances are equal ratios
 */
record Axis(double low, double high, boolean logarithmic, List<Tick> ticks) {
  private static final int TICKS = 5;
  private static final int STEP_TICKS = 6;

  /** Values whose largest is so many times the smallest are easier to read on a log axis. */
  private static final double WIDE = 100;

  /** A range below this part of its values is that of a constant, computed with rounding. */
  private static final double CONSTANT = 1e-9;

  /** Values are cut here, so that differences of them are finite. */
  private static final double LARGEST = 1e300;

  private static final double MARGIN = 0.04;

  /** The range around a constant, as a part of it. */
  private static final double AROUND = 0.1;

  /** Returns the axis of the steps of a run. */
  static Axis ofSteps(double[] steps) {
    double low = low(steps);
    double high = high(steps);
    double around = Math.max(1, Math.ulp(low));
    return low == high
        ? new Axis(
            low - around, low + around, false, Ticks.linear(low - around, low + around, 2, true))
        : new Axis(low, high, false, Ticks.linear(low, high, STEP_TICKS, true));
  }

  /**
   * Returns an axis for values.
   *
   * @param values finite numbers; at least one
   * @param mayBeLogarithmic whether it is logarithmic where all values are positive and far apart
   */
  static Axis of(double[] values, boolean mayBeLogarithmic) {
    double low = low(values);
    double high = high(values);
    if (mayBeLogarithmic && low > 0 && high / low >= WIDE) {
      double from = Ticks.roundDown(low);
      double to = Ticks.roundUp(high);
      return new Axis(from, to, true, Ticks.logarithmic(from, to));
    }
    double size = Math.max(Math.abs(low), Math.abs(high));
    double range = high - low;
    if (range <= CONSTANT * size || range < Double.MIN_NORMAL) {
      double around = size < Double.MIN_NORMAL ? 1 : AROUND * size;
      double middle = low / 2 + high / 2;
      return linear(middle - around, middle + around);
    }
    return linear(low - MARGIN * range, high + MARGIN * range);
  }

  private static Axis linear(double low, double high) {
    return new Axis(low, high, false, Ticks.linear(low, high, TICKS, false));
  }

  private static double low(double[] values) {
    return cut(Arrays.stream(values).min().orElseThrow());
  }

  private static double high(double[] values) {
    return cut(Arrays.stream(values).max().orElseThrow());
  }

  private static double cut(double value) {
    return Math.clamp(value, -LARGEST, LARGEST);
  }

  /** Returns where a value is on the axis: 0 at its low end, 1 at its high end. */
  double at(double value) {
    double inside = Math.clamp(value, low, high);
    return logarithmic
        ? Math.log(inside / low) / Math.log(high / low)
        : (inside - low) / (high - low);
  }
}
