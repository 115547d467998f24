package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/** The norm before each layer: reads the float32 residual stream, writes what the layer takes. */
public class RmsNormBenchmark extends KernelBenchmark<NormProblem.RmsNorm> {
  /** The shape: rows x width. */
  @Param({"1x768", "8x768", "256x768", "2048x768"})
  String shape;

  /** The type of the result. */
  @Param({"float32", "bfloat16"})
  String dtype;

  @Override
  NormProblem.RmsNorm problem(int copy) {
    Tensor x = random(DType.FLOAT32, 3, 1, size(0), size(1));
    Tensor weight = random(DType.FLOAT32, 1, 2, size(1));
    return new NormProblem.RmsNorm(x, weight, 1e-6f, output(activationType(), size(0), size(1)));
  }

  @Override
  void verify(NormProblem.RmsNorm p) {
    verifyRows(p.y(), m -> NormReference.row(p, m), Tolerance.of(activationType()));
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    return Work.ofMemory().hot(4 * n, activationType().bytes() * n).operations(4 * n);
  }
}
