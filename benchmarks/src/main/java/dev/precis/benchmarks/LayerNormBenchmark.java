package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import org.openjdk.jmh.annotations.Param;

/**
 * The norm after each layer of the classifiers that score toxicity, whose width is T5-base's too.
 */
public class LayerNormBenchmark extends KernelBenchmark<NormProblem.LayerNorm> {
  /** The shape: rows x width. */
  @Param({"1x768", "256x768", "2048x768"})
  String shape;

  /** The type of the result. */
  @Param({"float32", "bfloat16"})
  String dtype;

  @Override
  NormProblem.LayerNorm problem(int copy) {
    return new NormProblem.LayerNorm(
        random(DType.FLOAT32, 3, 1, size(0), size(1)),
        random(DType.FLOAT32, 1, 2, size(1)),
        random(DType.FLOAT32, 1, 3, size(1)),
        1e-5f,
        output(activationType(), size(0), size(1)));
  }

  @Override
  void verify(NormProblem.LayerNorm p) {
    verifyRows(p.y(), m -> NormReference.row(p, m), Tolerance.of(activationType()));
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    return Work.ofMemory().hot(4 * n, activationType().bytes() * n).operations(7 * n);
  }
}
