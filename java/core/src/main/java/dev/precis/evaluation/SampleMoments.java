package dev.precis.evaluation;

/** Moments of samples, in double precision. */
public final class SampleMoments {
  private SampleMoments() {}

  /** Returns the mean; NaN of no value. */
  public static double mean(double[] values) {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    return sum / values.length;
  }

  /** Returns the unbiased standard deviation; 0 of fewer than two values. */
  public static double deviation(double[] values) {
    double mean = mean(values);
    double sum = 0;
    for (double value : values) {
      sum += (value - mean) * (value - mean);
    }
    return values.length < 2 ? 0 : Math.sqrt(sum / (values.length - 1));
  }
}
