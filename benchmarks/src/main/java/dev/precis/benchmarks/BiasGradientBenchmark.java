package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import org.openjdk.jmh.annotations.Param;

/** The gradient of a classifier's bias. */
public class BiasGradientBenchmark extends KernelBenchmark<ElementwiseProblem.BiasGradient> {
  /** The shape: rows x width. */
  @Param({"8x768", "256x768", "256x3072"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  @Override
  ElementwiseProblem.BiasGradient problem(int copy) {
    return new ElementwiseProblem.BiasGradient(
        random(activationType(), 1, 1, size(0), size(1)), zeros(DType.FLOAT32, size(1)));
  }

  @Override
  void verify(ElementwiseProblem.BiasGradient p) {
    verifyRow(p.dbias(), 0, ElementwiseReference.sum(p), Tolerance.of(DType.FLOAT32));
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    return Work.ofMemory().hot(activationType().bytes() * n, 0).operations(n);
  }
}
