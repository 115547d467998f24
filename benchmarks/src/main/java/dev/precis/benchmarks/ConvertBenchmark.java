package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/** float32 rounded to bfloat16. */
public class ConvertBenchmark extends KernelBenchmark {
  /** Rows x width. */
  @Param({"1x768", "256x768", "2048x768"})
  String shape;

  @Override
  Problem problem(int copy) {
    Tensor x = random(DType.FLOAT32, 1, 1, size(0), size(1));
    return new ElementwiseProblem.Convert(x, output(DType.BFLOAT16, size(0), size(1)));
  }

  @Override
  void verify(Problem problem) {
    ElementwiseProblem.Convert p = (ElementwiseProblem.Convert) problem;
    verifyRows(p.y(), m -> ElementwiseReference.row(p, m), 0);
  }

  @Override
  String dtype() {
    return "float32";
  }

  @Override
  String shape() {
    return shape;
  }

  @Override
  Work work() {
    return Work.bytes(6.0 * size(0) * size(1));
  }
}
