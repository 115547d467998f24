package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/** Converts float32 to bfloat16. */
public class ConvertBenchmark extends KernelBenchmark<ElementwiseProblem.Convert> {
  /** The shape: rows x width. */
  @Param({"1x768", "256x768", "2048x768"})
  String shape;

  @Override
  ElementwiseProblem.Convert problem(int copy) {
    Tensor x = random(DType.FLOAT32, 1, 1, size(0), size(1));
    return new ElementwiseProblem.Convert(x, output(DType.BFLOAT16, size(0), size(1)));
  }

  @Override
  void verify(ElementwiseProblem.Convert p) {
    verifyRows(p.y(), m -> ElementwiseReference.row(p, m), 0);
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    return Work.ofMemory().hot(4 * n, 2 * n);
  }
}
