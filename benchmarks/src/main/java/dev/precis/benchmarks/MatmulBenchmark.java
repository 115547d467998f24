package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/**
 * The layers of T5-base: attention (768 x 768), feed-forward (768 x 2048 and back), output (768 x
 * 32128); one row and eight as in decoding, the rest as in the encoder. Weights are cold.
 */
public class MatmulBenchmark extends KernelBenchmark<ProductProblem.Matmul> {
  /** Up to so many rows, reading the weights is the limit, and the rate is in bytes. */
  private static final int FEW_ROWS = 8;

  /** The shape: M x K x N. */
  @Param({
    "1x768x768",
    "1x768x2048",
    "1x2048x768",
    "1x768x32128",
    "8x768x768",
    "8x768x2048",
    "8x2048x768",
    "8x768x32128",
    "256x768x768",
    "256x768x2048",
    "256x2048x768",
    "2048x768x768",
    "2048x768x2048",
    "2048x2048x768"
  })
  String shape;

  @Param({"float32", "bfloat16", "int8"})
  String dtype;

  private Tensor x;
  private Tensor w;
  private Tensor y;

  @Override
  ProductProblem.Matmul problem(int copy) {
    DType type = activationType();
    if (copy == 0) {
      x = random(type, 1, 1, size(0), size(1));
      w = random(type, 1 / Math.sqrt(size(1)), 2, size(2), size(1));
      y = output(type, size(0), size(2));
    }
    return new ProductProblem.Matmul(x, copy == 0 ? w : copyOf(w), weightType(), y);
  }

  @Override
  long coldBytes() {
    return (long) size(1) * size(2) * weightType().bytes();
  }

  @Override
  void verify(ProductProblem.Matmul p) {
    verifyRows(p.y(), m -> ProductReference.row(p, m), Tolerance.of(weightType()));
  }

  @Override
  Work work() {
    return (size(0) <= FEW_ROWS ? Work.ofMemory() : Work.ofArithmetic())
        .cold(coldBytes(), 0)
        .operations(weightType(), 2.0 * size(0) * size(1) * size(2));
  }
}
