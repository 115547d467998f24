package dev.precis.benchmarks;

import dev.precis.ops.PpoLoss;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.openjdk.jmh.annotations.Param;

/**
 * The policy loss and the value loss of PPO with their gradients, over the vocabulary of T5; the
 * shape's rows are those of the output layer. MatmulBenchmark at M x D x V is what the logits alone
 * cost, which is half of the arithmetic.
 */
public class PpoLossBenchmark extends KernelBenchmark<LossProblem.PpoLoss> {
  private static final PpoLoss.Coefficients COEFFICIENTS =
      new PpoLoss.Coefficients(0.2f, 0.2f, 0.2f, 0.1f, 0.01f, 0);

  /** The shape: rows x width x vocabulary. */
  @Param({"16x768x32128", "512x768x32128"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  private LossProblem.PpoLoss first;

  @Override
  LossProblem.PpoLoss problem(int copy) {
    if (copy > 0) {
      return new LossProblem.PpoLoss(
          first.x(),
          copyOf(first.w()),
          first.actions(),
          first.weights(),
          first.oldLogProbabilities(),
          first.advantages(),
          first.values(),
          first.oldValues(),
          first.returns(),
          COEFFICIENTS,
          first.logProbabilities(),
          first.entropies(),
          first.policyLosses(),
          first.valueLosses(),
          first.dx(),
          first.dvalues());
    }
    int m = size(0);
    int d = size(1);
    int v = size(2);
    SplittableRandom random = new SplittableRandom(9);
    int[] actions = random.ints(m, 0, v).toArray();
    Tensor weights = output(DType.FLOAT32, m);
    Tensor old = output(DType.FLOAT32, m);
    for (int i = 0; i < m; i++) {
      weights.memory().setAtIndex(ValueLayout.JAVA_FLOAT, i, 1.0f / m);
      // The log-probability of a token of logit 0: with logits of deviation 1, some ratios are
      // clipped at either bound.
      old.memory().setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) -(Math.log(v) + 0.5));
    }
    first =
        new LossProblem.PpoLoss(
            random(activationType(), 1, 1, m, d),
            random(activationType(), 1 / Math.sqrt(d), 2, v, d),
            ints(actions),
            weights,
            old,
            random(DType.FLOAT32, 1, 3, m),
            random(DType.FLOAT32, 1, 4, m),
            random(DType.FLOAT32, 1, 5, m),
            random(DType.FLOAT32, 1, 6, m),
            COEFFICIENTS,
            output(DType.FLOAT32, m),
            output(DType.FLOAT32, m),
            output(DType.FLOAT32, m),
            output(DType.FLOAT32, m),
            output(DType.FLOAT32, m, d),
            output(DType.FLOAT32, m));
    return first;
  }

  @Override
  long coldBytes() {
    return (long) size(1) * size(2) * activationType().bytes();
  }

  @Override
  void verify(LossProblem.PpoLoss p) {
    double tolerance = Tolerance.ofPpoLoss(activationType());
    Map<Long, LossReference.PpoRow> rows = new HashMap<>();
    verifyRows(p.dx(), m -> row(rows, p, m).dx(), tolerance);
    verifyElements(p.logProbabilities(), m -> row(rows, p, m).logProbability(), tolerance);
    verifyElements(p.entropies(), m -> row(rows, p, m).entropy(), tolerance);
    verifyElements(p.policyLosses(), m -> row(rows, p, m).policyLoss(), tolerance);
    verifyElements(p.valueLosses(), m -> row(rows, p, m).valueLoss(), tolerance);
    verifyElements(p.dvalues(), m -> row(rows, p, m).dvalue(), tolerance);
  }

  private static LossReference.PpoRow row(
      Map<Long, LossReference.PpoRow> rows, LossProblem.PpoLoss p, long row) {
    return rows.computeIfAbsent(row, m -> LossReference.row(p, m));
  }

  @Override
  Work work() {
    return Work.ofArithmetic()
        .cold(coldBytes(), 0)
        .operations(activationType(), 4.0 * size(0) * size(1) * size(2));
  }
}
