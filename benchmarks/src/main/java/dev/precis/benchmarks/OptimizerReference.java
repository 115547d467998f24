package dev.precis.benchmarks;

import dev.precis.tensor.Tensor;
import java.util.Arrays;

/** States the formulas of {@link OptimizerProblem} in double precision: the ground truth. */
final class OptimizerReference {
  private OptimizerReference() {}

  /**
   * The state after a step.
   *
   * @param second null where the optimizer has no such state
   */
  record Result(double[] parameter, double[] first, double[] second) {}

  static Result step(OptimizerProblem.Adam p) {
    double[] parameter = all(p.before().parameter());
    double[] m = all(p.before().first());
    double[] v = all(p.before().second());
    double[] g = gradient(p.gradient(), p.step());
    double rate = p.step().learningRate() / (1 - Math.pow(p.beta1(), p.step().number()));
    double correction = 1 - Math.pow(p.beta2(), p.step().number());
    for (int i = 0; i < g.length; i++) {
      parameter[i] -= p.step().learningRate() * p.step().weightDecay() * parameter[i];
      m[i] = p.beta1() * m[i] + (1.0 - p.beta1()) * g[i];
      v[i] = p.beta2() * v[i] + (1.0 - p.beta2()) * g[i] * g[i];
      parameter[i] -= rate * m[i] / (Math.sqrt(v[i] / correction) + p.epsilon());
    }
    return new Result(parameter, m, v);
  }

  static Result step(OptimizerProblem.Sgd p) {
    double[] parameter = all(p.before().parameter());
    double[] buffer = all(p.before().first());
    double[] g = gradient(p.gradient(), p.step());
    for (int i = 0; i < g.length; i++) {
      buffer[i] = p.momentum() * buffer[i] + g[i] + p.step().weightDecay() * parameter[i];
      parameter[i] -= p.step().learningRate() * buffer[i];
    }
    return new Result(parameter, buffer, null);
  }

  /** Uses the constants of the paper (Shazeer & Stern 2018). */
  static Result step(OptimizerProblem.Adafactor p) {
    double[] parameter = all(p.before().parameter());
    double[] row = all(p.before().first());
    double[] column = all(p.before().second());
    double[] g = gradient(p.gradient(), p.step());
    double kept = 1 - Math.pow(p.step().number(), -0.8);
    Arrays.setAll(row, n -> row[n] * kept);
    Arrays.setAll(column, k -> column[k] * kept);
    for (int i = 0; i < g.length; i++) {
      double square = (1 - kept) * (g[i] * g[i] + 1e-30);
      row[i / column.length] += square / column.length;
      column[i % column.length] += square / row.length;
    }
    double mean = Arrays.stream(row).average().orElseThrow();
    double[] update = new double[g.length];
    Arrays.setAll(
        update, i -> g[i] / Math.sqrt(row[i / column.length] * column[i % column.length] / mean));
    double clip = Math.max(1, rootMeanSquare(update));
    double rate = p.step().learningRate() * Math.max(1e-3, rootMeanSquare(parameter));
    double left = 1 - rate * p.step().weightDecay();
    Arrays.setAll(parameter, i -> parameter[i] * left - rate * update[i] / clip);
    return new Result(parameter, row, column);
  }

  static double sum(OptimizerProblem.SumOfSquares p) {
    return Arrays.stream(all(p.x())).map(v -> v * v).sum();
  }

  private static double rootMeanSquare(double[] values) {
    return Math.sqrt(Arrays.stream(values).map(v -> v * v).average().orElseThrow());
  }

  private static double[] gradient(Tensor gradient, OptimizerProblem.Step step) {
    return Arrays.stream(all(gradient)).map(g -> step.gradientScale() * g).toArray();
  }

  /** Returns all elements, row after row. */
  private static double[] all(Tensor tensor) {
    int columns = Math.toIntExact(tensor.columns());
    double[] values = new double[Math.toIntExact(tensor.rows() * columns)];
    Arrays.setAll(values, i -> tensor.get(i / columns, i % columns));
    return values;
  }
}
