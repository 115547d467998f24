package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/** Adds up the squares of a gradient, whose norm clips it. */
public class SumOfSquaresBenchmark extends KernelBenchmark<OptimizerProblem.SumOfSquares> {
  /** The shape of the weight whose gradient it is: rows x columns. */
  @Param({"32x768", "2048x768"})
  String shape;

  private OptimizerProblem.SumOfSquares first;

  @Override
  OptimizerProblem.SumOfSquares problem(int copy) {
    if (copy == 0) {
      Tensor x = random(DType.FLOAT32, 1, 1, (long) size(0) * size(1));
      first = new OptimizerProblem.SumOfSquares(x, output(DType.FLOAT32, 1));
      return first;
    }
    return new OptimizerProblem.SumOfSquares(copyOf(first.x()), first.result());
  }

  @Override
  long coldBytes() {
    return 4L * size(0) * size(1);
  }

  @Override
  void verify(OptimizerProblem.SumOfSquares p) {
    double[] want = {OptimizerReference.sum(p)};
    verifyRow(p.result(), 0, want, Tolerance.of(DType.FLOAT32));
  }

  @Override
  Work work() {
    return Work.ofMemory().cold(coldBytes(), 0).operations(2.0 * size(0) * size(1));
  }
}
