package dev.precis.benchmarks;

import static dev.precis.benchmarks.Reference.rowOf;

import java.util.Arrays;

/** The truth: the formulas of {@link NormProblem}, in double precision. */
final class NormReference {
  private NormReference() {}

  static double[] row(NormProblem.RmsNorm p, long m) {
    double[] y = rowOf(p.x(), m);
    double scale =
        1 / Math.sqrt(Arrays.stream(y).map(v -> v * v).average().orElseThrow() + p.epsilon());
    Arrays.setAll(y, i -> y[i] * scale * p.weight().get(0, i));
    return y;
  }
}
