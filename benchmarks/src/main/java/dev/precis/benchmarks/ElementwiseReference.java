package dev.precis.benchmarks;

import static dev.precis.benchmarks.Reference.rowOf;

import dev.precis.ops.Activation;
import dev.precis.tensor.DType;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** The truth: the formulas of {@link ElementwiseProblem}, in double precision. */
final class ElementwiseReference {
  private ElementwiseReference() {}

  static double[] row(ElementwiseProblem.ActivationFunction p, long m) {
    double[] x = rowOf(p.x(), m);
    double[] y = new double[Math.toIntExact(p.y().columns())];
    Arrays.setAll(y, i -> activate(p.kind(), x[i]) * (p.gated() ? x[y.length + i] : 1));
    return y;
  }

  static double activate(Activation kind, double x) {
    return switch (kind) {
      case RELU -> Math.max(x, 0);
      case GELU_TANH ->
          0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
      case TANH -> Math.tanh(x);
      case SILU -> x / (1 + Math.exp(-x));
      case GELU_ERF -> throw new UnsupportedOperationException("Java has no erf");
    };
  }

  static double[] row(ElementwiseProblem.Embedding p, long m) {
    return rowOf(p.table(), p.ids().memory().getAtIndex(ValueLayout.JAVA_INT, m));
  }

  static double[] row(ElementwiseProblem.Convert p, long m) {
    double[] x = rowOf(p.x(), m);
    if (p.y().dtype() == DType.BFLOAT16) {
      Arrays.setAll(x, i -> Bfloat16.round((float) x[i]));
    }
    return x;
  }
}
