package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.LongFunction;
import org.openjdk.jmh.annotations.Param;

/**
 * The log-probabilities of given tokens and the entropies, over the vocabulary of T5: forward as
 * rollouts are scored, backward with the gradient as DPO needs it.
 */
public class LogProbabilityBenchmark extends KernelBenchmark<LossProblem.LogProbability> {
  /** The shape: rows x width x vocabulary. */
  @Param({"16x768x32128", "512x768x32128"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  @Param({"forward", "backward"})
  String pass;

  private LossProblem.LogProbability first;

  private boolean backward() {
    return pass.equals("backward");
  }

  @Override
  LossProblem.LogProbability problem(int copy) {
    int m = size(0);
    int d = size(1);
    int v = size(2);
    if (copy == 0) {
      first =
          new LossProblem.LogProbability(
              random(activationType(), 1, 1, m, d),
              random(activationType(), 1 / Math.sqrt(d), 2, v, d),
              ints(new SplittableRandom(9).ints(m, 0, v).toArray()),
              backward() ? random(DType.FLOAT32, 1, 3, m) : null,
              output(DType.FLOAT32, m),
              output(DType.FLOAT32, m),
              backward() ? output(DType.FLOAT32, m, d) : null);
      return first;
    }
    return new LossProblem.LogProbability(
        first.x(),
        copyOf(first.w()),
        first.labels(),
        first.dlogProbabilities(),
        first.logProbabilities(),
        first.entropies(),
        first.dx());
  }

  @Override
  long coldBytes() {
    return (long) size(1) * size(2) * activationType().bytes();
  }

  @Override
  void verify(LossProblem.LogProbability p) {
    double tolerance = Tolerance.ofPpoLoss(activationType());
    Map<Long, LossReference.LabelRow> rows = new HashMap<>();
    LongFunction<LossReference.LabelRow> row =
        m -> rows.computeIfAbsent(m, r -> LossReference.row(p, r));
    verifyElements(p.logProbabilities(), m -> row.apply(m).loss(), tolerance);
    verifyElements(p.entropies(), m -> row.apply(m).entropy(), tolerance);
    if (backward()) {
      verifyRows(p.dx(), m -> row.apply(m).dx(), tolerance);
    }
  }

  @Override
  String op() {
    return super.op() + "/" + pass;
  }

  @Override
  Work work() {
    double product = 2.0 * size(0) * size(1) * size(2);
    return Work.ofArithmetic()
        .cold(coldBytes(), 0)
        .operations(activationType(), backward() ? 2 * product : product);
  }
}
