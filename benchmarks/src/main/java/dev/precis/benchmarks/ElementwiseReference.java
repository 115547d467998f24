package dev.precis.benchmarks;

import static dev.precis.benchmarks.Reference.rowOf;

import dev.precis.ops.Activation;
import dev.precis.tensor.DType;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** States the formulas of {@link ElementwiseProblem} in double precision: the ground truth. */
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

  static double[] row(ElementwiseProblem.ActivationBackward p, long m) {
    double[] x = rowOf(p.x(), m);
    double[] dy = rowOf(p.dy(), m);
    double[] dx = new double[x.length];
    for (int i = 0; i < dy.length; i++) {
      dx[i] = dy[i] * slope(p.kind(), x[i]);
      if (p.gated()) {
        dx[i] *= x[dy.length + i];
        dx[dy.length + i] = dy[i] * activate(p.kind(), x[i]);
      }
    }
    return dx;
  }

  /** Returns the derivative of an activation function. */
  private static double slope(Activation kind, double x) {
    return switch (kind) {
      case RELU -> x > 0 ? 1 : 0;
      case GELU_TANH -> {
        double root = Math.sqrt(2 / Math.PI);
        double t = Math.tanh(root * (x + 0.044715 * x * x * x));
        yield (1 + t) / 2 + x / 2 * (1 - t * t) * root * (1 + 3 * 0.044715 * x * x);
      }
      default -> throw new UnsupportedOperationException("The slope of " + kind);
    };
  }

  /** Returns a row of dtable. */
  static double[] row(ElementwiseProblem.EmbeddingBackward p, long v) {
    double[] dtable = new double[Math.toIntExact(p.dtable().columns())];
    for (long t = 0; t < p.ids().columns(); t++) {
      if (p.ids().memory().getAtIndex(ValueLayout.JAVA_INT, t) == v) {
        double[] dy = rowOf(p.dy(), t);
        Arrays.setAll(dtable, i -> dtable[i] + dy[i]);
      }
    }
    return dtable;
  }

  static double[] row(ElementwiseProblem.Add p, long m) {
    double[] y = rowOf(p.before(), m);
    Arrays.setAll(y, i -> y[i] + p.alpha() * p.x().get(m, i));
    return y;
  }

  static double[] row(ElementwiseProblem.AddBias p, long m) {
    double[] y = rowOf(p.before(), m);
    Arrays.setAll(y, i -> y[i] + p.bias().get(0, i));
    return y;
  }

  static double[] sum(ElementwiseProblem.BiasGradient p) {
    double[] dbias = new double[Math.toIntExact(p.dy().columns())];
    for (long m = 0; m < p.dy().rows(); m++) {
      double[] dy = rowOf(p.dy(), m);
      Arrays.setAll(dbias, i -> dbias[i] + dy[i]);
    }
    return dbias;
  }
}
