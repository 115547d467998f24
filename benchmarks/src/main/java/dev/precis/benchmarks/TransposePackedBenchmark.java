package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/** Packs the transpose of packed weights, which the backward pass of training reads. */
public class TransposePackedBenchmark extends KernelBenchmark<ProductProblem.TransposePacked> {
  /** The shape: K x N. */
  @Param({"768x768", "768x2048", "2048x768"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  @Override
  ProductProblem.TransposePacked problem(int copy) {
    Tensor w = random(activationType(), 1 / Math.sqrt(size(0)), 1, size(1), size(0));
    return new ProductProblem.TransposePacked(w, output(DType.FLOAT32, size(1), size(0)));
  }

  @Override
  void verify(ProductProblem.TransposePacked p) {
    verifyRows(p.unpacked(), n -> ProductReference.row(p, n), 0);
  }

  @Override
  Work work() {
    double bytes = (double) size(0) * size(1) * activationType().bytes();
    return Work.ofMemory().hot(bytes, bytes);
  }
}
