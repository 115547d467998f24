package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.util.SplittableRandom;
import org.openjdk.jmh.annotations.Param;

/** Looks up rows of T5-base's embedding; each call asks for other tokens, so that rows are cold. */
public class EmbeddingBenchmark extends KernelBenchmark {
  private static final int VOCABULARY = 32128;

  /** Tokens x width. */
  @Param({"1x768", "8x768", "256x768", "2048x768"})
  String shape;

  /** Of the table. */
  @Param({"float32", "bfloat16"})
  String dtype;

  private Tensor table;
  private Tensor y;

  @Override
  Problem problem(int copy) {
    if (copy == 0) {
      table = random(activationType(), 1, 1, VOCABULARY, size(1));
      y = output(DType.FLOAT32, size(0), size(1));
    }
    int[] ids = new SplittableRandom(copy).ints(size(0), 0, VOCABULARY).toArray();
    return new ElementwiseProblem.Embedding(table, ints(ids), y);
  }

  @Override
  long coldBytes() {
    return (long) size(0) * size(1) * activationType().bytes();
  }

  @Override
  void verify(Problem problem) {
    ElementwiseProblem.Embedding p = (ElementwiseProblem.Embedding) problem;
    verifyRows(p.y(), m -> ElementwiseReference.row(p, m), 0);
  }

  @Override
  String dtype() {
    return dtype;
  }

  @Override
  String shape() {
    return shape;
  }

  @Override
  Work work() {
    return Work.bytes((double) size(0) * size(1) * (4 + activationType().bytes()));
  }
}
