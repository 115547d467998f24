package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/** Packs the weights of T5-base, as loading a model does for each of them. */
public class MatmulPackBenchmark extends KernelBenchmark<ProductProblem.MatmulPack> {
  /** The shape: K x N. */
  @Param({"768x768", "768x2048", "768x32128"})
  String shape;

  /** The type of the packed weight; int8 is packed from float32. */
  @Param({"float32", "bfloat16", "int8"})
  String dtype;

  @Override
  ProductProblem.MatmulPack problem(int copy) {
    Tensor w = random(activationType(), 1 / Math.sqrt(size(0)), 1, size(1), size(0));
    return new ProductProblem.MatmulPack(w, weightType(), output(DType.FLOAT32, size(0), size(1)));
  }

  @Override
  void verify(ProductProblem.MatmulPack p) {
    double tolerance = p.weightType() == DType.INT8 ? Tolerance.of(DType.INT8) : 0;
    verifyRows(p.unpacked(), k -> ProductReference.row(p, k), tolerance);
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    return Work.ofMemory().hot(n * activationType().bytes(), n * weightType().bytes());
  }
}
