package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.openjdk.jmh.annotations.Param;

/** Adds rows to the gradient of T5-base's embedding; each call has other tokens. */
public class EmbeddingBackwardBenchmark
    extends KernelBenchmark<ElementwiseProblem.EmbeddingBackward> {
  /** The shape: tokens x width. */
  @Param({"1x768", "256x768", "2048x768"})
  String shape;

  /** The type of dy. */
  @Param({"float32", "bfloat16"})
  String dtype;

  private Tensor dy;
  private Tensor dtable;

  @Override
  ElementwiseProblem.EmbeddingBackward problem(int copy) {
    if (copy == 0) {
      dy = random(activationType(), 1, 1, size(0), size(1));
      dtable = zeros(DType.FLOAT32, T5Base.VOCABULARY, size(1));
    }
    int[] ids = new SplittableRandom(copy).ints(size(0), 0, T5Base.VOCABULARY).toArray();
    return new ElementwiseProblem.EmbeddingBackward(ints(ids), dy, dtable);
  }

  @Override
  long coldBytes() {
    return 4L * size(0) * size(1);
  }

  @Override
  void verify(ElementwiseProblem.EmbeddingBackward p) {
    double tolerance = Tolerance.of(DType.FLOAT32);
    verifyRows(p.dtable(), v -> ElementwiseReference.row(p, v), tolerance);
    // Most rows have no token: also rows that have one.
    for (long t : new long[] {0, size(0) / 2, size(0) - 1}) {
      int v = p.ids().memory().getAtIndex(ValueLayout.JAVA_INT, t);
      verifyRow(p.dtable(), v, ElementwiseReference.row(p, v), tolerance);
    }
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    return Work.ofMemory().cold(4 * n, 4 * n).hot(activationType().bytes() * n, 0).operations(n);
  }
}
