package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/** Adds the result of a layer to the float32 residual stream. */
public class AddBenchmark extends KernelBenchmark<ElementwiseProblem.Add> {
  /** The shape: rows x width. */
  @Param({"1x768", "256x768", "2048x768"})
  String shape;

  /** The type of x. */
  @Param({"float32", "bfloat16"})
  String dtype;

  @Override
  ElementwiseProblem.Add problem(int copy) {
    Tensor y = random(DType.FLOAT32, 1, 2, size(0), size(1));
    Tensor x = random(activationType(), 1, 1, size(0), size(1));
    return new ElementwiseProblem.Add(x, 0.5f, y, copyOf(y));
  }

  @Override
  void verify(ElementwiseProblem.Add p) {
    verifyRows(p.y(), m -> ElementwiseReference.row(p, m), Tolerance.of(DType.FLOAT32));
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    return Work.ofMemory().hot((4 + activationType().bytes()) * n, 4 * n).operations(2 * n);
  }
}
