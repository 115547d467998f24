package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/** A step of SGD with momentum. */
public class SgdBenchmark extends OptimizerBenchmark<OptimizerProblem.Sgd> {
  /** The shape of the parameter: rows x columns. */
  @Param({"32x768", "2048x768"})
  String shape;

  @Override
  OptimizerProblem.State start(long... dims) {
    return new OptimizerProblem.State(
        random(DType.FLOAT32, 1, 1, dims), random(DType.FLOAT32, 0.1, 2, dims), null);
  }

  @Override
  OptimizerProblem.Sgd problem(
      OptimizerProblem.State state, OptimizerProblem.State before, Tensor gradient) {
    return new OptimizerProblem.Sgd(state, before, gradient, STEP, 0.9f);
  }

  @Override
  long coldBytes() {
    return 12L * size(0) * size(1);
  }

  @Override
  void verify(OptimizerProblem.Sgd p) {
    verify(p.state(), OptimizerReference.step(p));
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    return Work.ofMemory().cold(12 * n, 8 * n).operations(7 * n);
  }
}
