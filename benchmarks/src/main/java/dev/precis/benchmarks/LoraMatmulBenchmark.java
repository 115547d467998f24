package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/**
 * An attention projection of T5-base with an adapter of rank 32, fused and ({@code unfused}) as
 * three products; MatmulBenchmark at the same M x K x N is the projection without one.
 */
public class LoraMatmulBenchmark extends KernelBenchmark<ProductProblem.LoraMatmul> {
  private static final int FEW_ROWS = 8;
  private static final float SCALING = 2;

  /** The shape: M x K x N x rank. */
  @Param({"1x768x768x32", "8x768x768x32", "256x768x768x32", "2048x768x768x32"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  private ProductProblem.LoraMatmul first;

  @Override
  ProductProblem.LoraMatmul problem(int copy) {
    if (copy > 0) {
      return new ProductProblem.LoraMatmul(
          first.x(), copyOf(first.w()), copyOf(first.a()), copyOf(first.b()), SCALING, first.y());
    }
    DType type = activationType();
    Tensor x = random(type, 1, 1, size(0), size(1));
    Tensor w = random(type, 1 / Math.sqrt(size(1)), 2, size(2), size(1));
    // As large as the frozen product, so that a wrong low-rank term cannot hide.
    Tensor a = random(type, 1 / Math.sqrt(size(1)), 3, size(3), size(1));
    Tensor b = random(type, 1 / Math.sqrt(size(3)), 4, size(2), size(3));
    first =
        new ProductProblem.LoraMatmul(x, w, a, b, SCALING, output(DType.FLOAT32, size(0), size(2)));
    return first;
  }

  @Override
  long coldBytes() {
    long elements = (long) size(1) * size(2) + (long) size(3) * (size(1) + size(2));
    return elements * activationType().bytes();
  }

  @Override
  void verify(ProductProblem.LoraMatmul p) {
    verifyRows(p.y(), m -> ProductReference.row(p, m), Tolerance.of(activationType()));
  }

  @Override
  Work work() {
    double weights = (double) size(1) * size(2) + (double) size(3) * (size(1) + size(2));
    return (size(0) <= FEW_ROWS ? Work.ofMemory() : Work.ofArithmetic())
        .cold(coldBytes(), 0)
        .operations(activationType(), 2.0 * size(0) * weights);
  }
}
