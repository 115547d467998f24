package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import org.openjdk.jmh.annotations.Param;

/** The gradients of a classifier's norm, as in training a reward model. */
public class LayerNormBackwardBenchmark extends KernelBenchmark<NormProblem.LayerNormBackward> {
  /** The shape: rows x width. */
  @Param({"1x768", "256x768", "2048x768"})
  String shape;

  /** The type of dy. */
  @Param({"float32", "bfloat16"})
  String dtype;

  @Override
  NormProblem.LayerNormBackward problem(int copy) {
    return new NormProblem.LayerNormBackward(
        random(DType.FLOAT32, 3, 1, size(0), size(1)),
        random(DType.FLOAT32, 1, 2, size(1)),
        1e-5f,
        random(activationType(), 1, 3, size(0), size(1)),
        output(DType.FLOAT32, size(0), size(1)),
        zeros(DType.FLOAT32, size(1)),
        zeros(DType.FLOAT32, size(1)));
  }

  @Override
  void verify(NormProblem.LayerNormBackward p) {
    double tolerance = Tolerance.of(DType.FLOAT32);
    verifyRows(p.dx(), m -> NormReference.row(p, m), tolerance);
    verifyRow(p.dweight(), 0, NormReference.weightGradient(p), tolerance);
    ElementwiseProblem.BiasGradient sum = new ElementwiseProblem.BiasGradient(p.dy(), p.dbias());
    verifyRow(p.dbias(), 0, ElementwiseReference.sum(sum), tolerance);
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    return Work.ofMemory().hot((4 + activationType().bytes()) * n, 4 * n).operations(16 * n);
  }
}
