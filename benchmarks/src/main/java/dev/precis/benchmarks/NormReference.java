package dev.precis.benchmarks;

import static dev.precis.benchmarks.Reference.rowOf;

import dev.precis.tensor.Tensor;
import java.util.Arrays;
import java.util.stream.IntStream;

/** States the formulas of {@link NormProblem} in double precision: the ground truth. */
final class NormReference {
  private NormReference() {}

  static double[] row(NormProblem.RmsNorm p, long m) {
    double[] y = rowOf(p.x(), m);
    double scale =
        1 / Math.sqrt(Arrays.stream(y).map(v -> v * v).average().orElseThrow() + p.epsilon());
    Arrays.setAll(y, i -> y[i] * scale * p.weight().get(0, i));
    return y;
  }

  /** Returns a row of dx. */
  static double[] row(NormProblem.RmsNormBackward p, long m) {
    double[] x = rowOf(p.x(), m);
    double[] weighted = weighted(p.weight(), p.dy(), m);
    double r = 1 / Math.sqrt(meanProduct(x, x) + p.epsilon());
    double projection = r * r * meanProduct(weighted, x);
    double[] dx = new double[x.length];
    Arrays.setAll(dx, i -> r * (weighted[i] - x[i] * projection));
    return dx;
  }

  static double[] weightGradient(NormProblem.RmsNormBackward p) {
    double[] dweight = new double[Math.toIntExact(p.x().columns())];
    for (long m = 0; m < p.x().rows(); m++) {
      double[] x = rowOf(p.x(), m);
      double[] dy = rowOf(p.dy(), m);
      double r = 1 / Math.sqrt(meanProduct(x, x) + p.epsilon());
      Arrays.setAll(dweight, i -> dweight[i] + dy[i] * x[i] * r);
    }
    return dweight;
  }

  static double[] row(NormProblem.LayerNorm p, long m) {
    double[] y = normalized(p.x(), m, p.epsilon());
    Arrays.setAll(y, i -> y[i] * p.weight().get(0, i) + p.bias().get(0, i));
    return y;
  }

  /** Returns a row of dx. */
  static double[] row(NormProblem.LayerNormBackward p, long m) {
    double[] x = rowOf(p.x(), m);
    double[] normalized = normalized(p.x(), m, p.epsilon());
    double[] weighted = weighted(p.weight(), p.dy(), m);
    double mean = Arrays.stream(weighted).average().orElseThrow();
    double projection = meanProduct(weighted, normalized);
    double scale = 1 / Math.sqrt(variance(x) + p.epsilon());
    double[] dx = new double[x.length];
    Arrays.setAll(dx, i -> scale * (weighted[i] - mean - normalized[i] * projection));
    return dx;
  }

  static double[] weightGradient(NormProblem.LayerNormBackward p) {
    double[] dweight = new double[Math.toIntExact(p.x().columns())];
    for (long m = 0; m < p.x().rows(); m++) {
      double[] normalized = normalized(p.x(), m, p.epsilon());
      double[] dy = rowOf(p.dy(), m);
      Arrays.setAll(dweight, i -> dweight[i] + dy[i] * normalized[i]);
    }
    return dweight;
  }

  private static double[] weighted(Tensor weight, Tensor dy, long m) {
    double[] weighted = rowOf(dy, m);
    Arrays.setAll(weighted, i -> weighted[i] * weight.get(0, i));
    return weighted;
  }

  private static double meanProduct(double[] a, double[] b) {
    return IntStream.range(0, a.length).mapToDouble(i -> a[i] * b[i]).average().orElseThrow();
  }

  private static double[] normalized(Tensor tensor, long m, double epsilon) {
    double[] x = rowOf(tensor, m);
    double mean = Arrays.stream(x).average().orElseThrow();
    double scale = 1 / Math.sqrt(variance(x) + epsilon);
    Arrays.setAll(x, i -> (x[i] - mean) * scale);
    return x;
  }

  private static double variance(double[] x) {
    double mean = Arrays.stream(x).average().orElseThrow();
    return Arrays.stream(x).map(v -> (v - mean) * (v - mean)).average().orElseThrow();
  }
}
