package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/** A step of AdamW. */
public class AdamBenchmark extends OptimizerBenchmark<OptimizerProblem.Adam> {
  /** The shape of the parameter: rows x columns. */
  @Param({"32x768", "2048x768"})
  String shape;

  @Override
  OptimizerProblem.State start(long... dims) {
    return new OptimizerProblem.State(
        random(DType.FLOAT32, 1, 1, dims), random(DType.FLOAT32, 0.1, 2, dims), positive(3, dims));
  }

  @Override
  OptimizerProblem.Adam problem(
      OptimizerProblem.State state, OptimizerProblem.State before, Tensor gradient) {
    return new OptimizerProblem.Adam(state, before, gradient, STEP, 0.9f, 0.999f, 1e-8f);
  }

  @Override
  long coldBytes() {
    return 16L * size(0) * size(1);
  }

  @Override
  void verify(OptimizerProblem.Adam p) {
    verify(p.state(), OptimizerReference.step(p));
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    return Work.ofMemory().cold(16 * n, 12 * n).operations(14 * n);
  }
}
