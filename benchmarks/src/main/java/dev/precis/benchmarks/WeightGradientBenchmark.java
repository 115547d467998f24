package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import org.openjdk.jmh.annotations.Param;

/** The gradient of a weight of T5-base, as in full fine-tuning. */
public class WeightGradientBenchmark extends KernelBenchmark<ProductProblem.WeightGradient> {
  /** The shape: M x K x N. */
  @Param({"256x768x768", "256x768x2048", "2048x768x2048"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  @Override
  ProductProblem.WeightGradient problem(int copy) {
    return new ProductProblem.WeightGradient(
        random(activationType(), 1, 1, size(0), size(2)),
        random(activationType(), 1, 2, size(0), size(1)),
        output(DType.FLOAT32, size(2), size(1)));
  }

  @Override
  void verify(ProductProblem.WeightGradient p) {
    verifyRows(p.dw(), n -> ProductReference.row(p, n), Tolerance.of(activationType()));
  }

  @Override
  Work work() {
    double read = (double) size(0) * (size(1) + size(2)) * activationType().bytes();
    double weights = (double) size(1) * size(2);
    return Work.ofArithmetic()
        .hot(read, 4 * weights)
        .operations(activationType(), 2 * size(0) * weights);
  }
}
