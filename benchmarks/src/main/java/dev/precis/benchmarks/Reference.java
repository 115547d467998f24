package dev.precis.benchmarks;

import dev.precis.tensor.Tensor;
import java.util.Arrays;

/** Helps to state each formula for one row of the result, in double precision. */
final class Reference {
  private Reference() {}

  /** Returns a row of a tensor. */
  static double[] rowOf(Tensor tensor, long row) {
    double[] values = new double[Math.toIntExact(tensor.columns())];
    Arrays.setAll(values, i -> tensor.get(row, i));
    return values;
  }

  /** Returns {@code x W'}; W (N, K). */
  static double[] product(double[] x, Tensor w) {
    double[] y = new double[Math.toIntExact(w.rows())];
    for (int n = 0; n < y.length; n++) {
      for (int k = 0; k < x.length; k++) {
        y[n] += x[k] * w.get(n, k);
      }
    }
    return y;
  }

  static double[] softmax(double[] x) {
    double[] y = logSoftmax(x);
    Arrays.setAll(y, i -> Math.exp(y[i]));
    return y;
  }

  static double[] logSoftmax(double[] x) {
    double largest = Arrays.stream(x).max().orElseThrow();
    double log = largest + Math.log(Arrays.stream(x).map(v -> Math.exp(v - largest)).sum());
    return Arrays.stream(x).map(v -> v - log).toArray();
  }
}
