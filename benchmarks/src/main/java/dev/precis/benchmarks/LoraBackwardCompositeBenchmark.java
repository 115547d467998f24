package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/**
 * The backward of an attention projection of T5-base with an adapter of rank 32: the gradients of
 * the input and of both of the adapter's matrices. MatmulBenchmark at the same M x K x N is what
 * the frozen projection alone costs, backward as forward.
 */
public class LoraBackwardCompositeBenchmark extends KernelBenchmark<ProductProblem.LoraBackward> {
  private static final float SCALING = 2;

  /** The shape: M x K x N x rank. */
  @Param({"256x768x768x32", "2048x768x768x32"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  private ProductProblem.LoraBackward first;

  @Override
  ProductProblem.LoraBackward problem(int copy) {
    if (copy > 0) {
      return new ProductProblem.LoraBackward(
          first.x(),
          first.dy(),
          copyOf(first.w()),
          copyOf(first.a()),
          copyOf(first.b()),
          SCALING,
          first.t(),
          first.dx(),
          first.da(),
          first.db());
    }
    DType type = activationType();
    int m = size(0);
    int k = size(1);
    int n = size(2);
    int rank = size(3);
    Tensor x = random(type, 1, 1, m, k);
    Tensor dy = random(type, 1, 5, m, n);
    Tensor w = random(type, 1 / Math.sqrt(n), 2, n, k);
    // As large as the frozen product, so that a wrong low-rank term cannot hide.
    Tensor a = random(type, 1 / Math.sqrt(rank), 3, rank, k);
    Tensor b = random(type, 1 / Math.sqrt(n), 4, n, rank);
    Tensor t = random(DType.FLOAT32, 1, 6, m, rank);
    first =
        new ProductProblem.LoraBackward(
            x,
            dy,
            w,
            a,
            b,
            SCALING,
            t,
            output(DType.FLOAT32, m, k),
            output(DType.FLOAT32, rank, k),
            output(DType.FLOAT32, n, rank));
    return first;
  }

  @Override
  long coldBytes() {
    long elements = (long) size(1) * size(2) + (long) size(3) * (size(1) + size(2));
    return elements * activationType().bytes();
  }

  @Override
  void verify(ProductProblem.LoraBackward p) {
    double tolerance = Tolerance.of(activationType());
    verifyRows(p.dx(), m -> ProductReference.row(p, m), tolerance);
    verifyRows(p.da(), r -> ProductReference.rowOfA(p, r), tolerance);
    verifyRows(p.db(), n -> ProductReference.rowOfB(p, n), tolerance);
  }

  @Override
  Work work() {
    double frozen = (double) size(1) * size(2);
    double adapters = (double) size(3) * (size(1) + size(2));
    double read = (double) size(0) * (size(1) + size(2)) * activationType().bytes();
    return Work.ofArithmetic()
        .cold(coldBytes(), 0)
        .hot(read, 4.0 * size(0) * size(1) + 4 * adapters)
        .operations(activationType(), 2.0 * size(0) * (frozen + 2 * adapters));
  }
}
