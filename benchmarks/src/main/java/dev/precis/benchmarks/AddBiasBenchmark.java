package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/** Adds the bias of a classifier's layer to its products; T5 has none. */
public class AddBiasBenchmark extends KernelBenchmark<ElementwiseProblem.AddBias> {
  /** The shape: rows x width. */
  @Param({"1x768", "256x768", "256x3072"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  @Override
  ElementwiseProblem.AddBias problem(int copy) {
    Tensor y = random(activationType(), 1, 1, size(0), size(1));
    return new ElementwiseProblem.AddBias(y, random(DType.FLOAT32, 1, 2, size(1)), copyOf(y));
  }

  @Override
  void verify(ElementwiseProblem.AddBias p) {
    verifyRows(p.y(), m -> ElementwiseReference.row(p, m), Tolerance.of(activationType()));
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    double bytes = n * activationType().bytes();
    return Work.ofMemory().hot(bytes, bytes).operations(n);
  }
}
