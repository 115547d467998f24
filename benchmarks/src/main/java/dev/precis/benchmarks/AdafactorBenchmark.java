package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/** A step of Adafactor on a matrix, whose moments are a row and a column. */
public class AdafactorBenchmark extends OptimizerBenchmark<OptimizerProblem.Adafactor> {
  /** The shape of the parameter: rows x columns. */
  @Param({"32x768", "2048x768"})
  String shape;

  @Override
  long[] dims() {
    return new long[] {size(0), size(1)};
  }

  @Override
  OptimizerProblem.State start(long... dims) {
    return new OptimizerProblem.State(
        random(DType.FLOAT32, 1, 1, dims), positive(2, dims[0]), positive(3, dims[1]));
  }

  @Override
  OptimizerProblem.Adafactor problem(
      OptimizerProblem.State state, OptimizerProblem.State before, Tensor gradient) {
    return new OptimizerProblem.Adafactor(state, before, gradient, STEP);
  }

  @Override
  long coldBytes() {
    return 8L * size(0) * size(1);
  }

  @Override
  void verify(OptimizerProblem.Adafactor p) {
    verify(p.state(), OptimizerReference.step(p));
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    return Work.ofMemory().cold(8 * n, 4 * n).operations(14 * n);
  }
}
