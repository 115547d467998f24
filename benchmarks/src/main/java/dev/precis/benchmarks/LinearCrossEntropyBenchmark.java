package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.LongFunction;
import org.openjdk.jmh.annotations.Param;

/**
 * The loss of supervised fine-tuning and its gradient by the rows that meet the output layer, over
 * the vocabulary of T5. MatmulBenchmark at M x D x V is what the logits alone cost, which is half
 * of the arithmetic.
 */
public class LinearCrossEntropyBenchmark extends KernelBenchmark<LossProblem.LinearCrossEntropy> {
  /** The shape: rows x width x vocabulary. */
  @Param({"16x768x32128", "512x768x32128"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  private LossProblem.LinearCrossEntropy first;

  @Override
  LossProblem.LinearCrossEntropy problem(int copy) {
    int m = size(0);
    int d = size(1);
    int v = size(2);
    if (copy == 0) {
      first =
          new LossProblem.LinearCrossEntropy(
              random(activationType(), 1, 1, m, d),
              random(activationType(), 1 / Math.sqrt(d), 2, v, d),
              ints(new SplittableRandom(9).ints(m, 0, v).toArray()),
              0.1f,
              1.0f / m,
              output(DType.FLOAT32, m),
              output(DType.FLOAT32, m, d));
      return first;
    }
    return new LossProblem.LinearCrossEntropy(
        first.x(),
        copyOf(first.w()),
        first.labels(),
        first.smoothing(),
        first.gradScale(),
        first.losses(),
        first.dx());
  }

  @Override
  long coldBytes() {
    return (long) size(1) * size(2) * activationType().bytes();
  }

  @Override
  void verify(LossProblem.LinearCrossEntropy p) {
    double tolerance = Tolerance.ofPpoLoss(activationType());
    Map<Long, LossReference.LabelRow> rows = new HashMap<>();
    LongFunction<LossReference.LabelRow> row =
        m -> rows.computeIfAbsent(m, r -> LossReference.row(p, r));
    verifyRows(p.dx(), m -> row.apply(m).dx(), tolerance);
    verifyElements(p.losses(), m -> row.apply(m).loss(), tolerance);
  }

  @Override
  Work work() {
    return Work.ofArithmetic()
        .cold(coldBytes(), 0)
        .operations(activationType(), 4.0 * size(0) * size(1) * size(2));
  }
}
