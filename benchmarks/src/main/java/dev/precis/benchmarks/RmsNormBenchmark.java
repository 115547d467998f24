package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/** The norm before each layer: reads the float32 residual stream, writes what the layer takes. */
public class RmsNormBenchmark extends KernelBenchmark {
  /** Rows x width. */
  @Param({"1x768", "8x768", "256x768", "2048x768"})
  String shape;

  /** Of the result. */
  @Param({"float32", "bfloat16"})
  String dtype;

  @Override
  Problem problem(int copy) {
    Tensor x = random(DType.FLOAT32, 3, 1, size(0), size(1));
    Tensor weight = random(DType.FLOAT32, 1, 2, size(1));
    return new NormProblem.RmsNorm(x, weight, 1e-6f, output(activationType(), size(0), size(1)));
  }

  @Override
  void verify(Problem problem) {
    NormProblem.RmsNorm p = (NormProblem.RmsNorm) problem;
    verifyRows(p.y(), m -> NormReference.row(p, m), Tolerance.of(activationType()));
  }

  @Override
  String dtype() {
    return dtype;
  }

  @Override
  String shape() {
    return shape;
  }

  @Override
  Work work() {
    return Work.bytes((double) size(0) * size(1) * (4 + activationType().bytes()));
  }
}
