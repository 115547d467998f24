package dev.precis.cli.common;

import java.util.Arrays;

/** Descriptive statistics. */
public final class Statistics {
  private Statistics() {}

  /** Returns the mean; NaN for no values. */
  public static double mean(double[] values) {
    return Arrays.stream(values).average().orElse(Double.NaN);
  }

  /** Returns the standard deviation of a sample; 0 for a single value. */
  public static double deviation(double[] values) {
    if (values.length < 2) {
      return 0;
    }
    double mean = mean(values);
    double squares = Arrays.stream(values).map(value -> (value - mean) * (value - mean)).sum();
    return Math.sqrt(squares / (values.length - 1));
  }
}
