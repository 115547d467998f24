package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.util.SplittableRandom;
import org.openjdk.jmh.annotations.Param;

/** Looks up rows of T5-base's embedding; each call asks for other tokens, so that rows are cold. */
public class EmbeddingBenchmark extends KernelBenchmark<ElementwiseProblem.Embedding> {
  /** The shape: tokens x width. */
  @Param({"1x768", "8x768", "256x768", "2048x768"})
  String shape;

  /** The type of the table. */
  @Param({"float32", "bfloat16"})
  String dtype;

  private Tensor table;
  private Tensor y;

  @Override
  ElementwiseProblem.Embedding problem(int copy) {
    if (copy == 0) {
      table = random(activationType(), 1, 1, T5Base.VOCABULARY, size(1));
      y = output(DType.FLOAT32, size(0), size(1));
    }
    int[] ids = new SplittableRandom(copy).ints(size(0), 0, T5Base.VOCABULARY).toArray();
    return new ElementwiseProblem.Embedding(table, ints(ids), y);
  }

  @Override
  long coldBytes() {
    return (long) size(0) * size(1) * activationType().bytes();
  }

  @Override
  void verify(ElementwiseProblem.Embedding p) {
    verifyRows(p.y(), m -> ElementwiseReference.row(p, m), 0);
  }

  @Override
  Work work() {
    return Work.ofMemory().cold(coldBytes(), 0).hot(0, 4.0 * size(0) * size(1));
  }
}
