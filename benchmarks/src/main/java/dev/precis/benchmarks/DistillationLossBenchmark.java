package dev.precis.benchmarks;

import dev.precis.ops.DistillationLoss;
import dev.precis.tensor.DType;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.LongFunction;
import org.openjdk.jmh.annotations.Param;

/**
 * The loss of distillation and its gradient over the vocabulary of T5: a student as wide as base, a
 * teacher as wide as large.
 */
public class DistillationLossBenchmark extends KernelBenchmark<LossProblem.DistillationLoss> {
  private static final float TEMPERATURE = 2;
  private static final float LABEL_WEIGHT = 0.5f;

  /** The shape: rows x the student's width x the teacher's width x vocabulary. */
  @Param({"16x768x1024x32128", "512x768x1024x32128"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  /** The divergence: 0 is KL(teacher || student), 0.5 the Jensen-Shannon divergence. */
  @Param({"0", "0.5"})
  String beta;

  private LossProblem.DistillationLoss first;

  @Override
  LossProblem.DistillationLoss problem(int copy) {
    int m = size(0);
    int d = size(1);
    int e = size(2);
    int v = size(3);
    if (copy == 0) {
      first =
          new LossProblem.DistillationLoss(
              random(activationType(), 1, 1, m, d),
              random(activationType(), 1 / Math.sqrt(d), 2, v, d),
              ints(new SplittableRandom(9).ints(m, 0, v).toArray()),
              random(activationType(), 1, 3, m, e),
              random(activationType(), 1 / Math.sqrt(e), 4, v, e),
              new DistillationLoss.Coefficients(
                  TEMPERATURE, Float.parseFloat(beta), 1f / m, LABEL_WEIGHT / m),
              output(DType.FLOAT32, m),
              output(DType.FLOAT32, m),
              output(DType.FLOAT32, m, d));
      return first;
    }
    return new LossProblem.DistillationLoss(
        first.x(),
        copyOf(first.w()),
        first.labels(),
        first.teacherX(),
        copyOf(first.teacherW()),
        first.coefficients(),
        first.divergences(),
        first.crossEntropies(),
        first.dx());
  }

  @Override
  long coldBytes() {
    return (long) (size(1) + size(2)) * size(3) * activationType().bytes();
  }

  @Override
  void verify(LossProblem.DistillationLoss p) {
    double tolerance = Tolerance.ofPpoLoss(activationType());
    Map<Long, LossReference.DistilledRow> rows = new HashMap<>();
    LongFunction<LossReference.DistilledRow> row =
        m -> rows.computeIfAbsent(m, r -> LossReference.row(p, r));
    verifyElements(p.divergences(), m -> row.apply(m).divergence(), tolerance);
    verifyElements(p.crossEntropies(), m -> row.apply(m).crossEntropy(), tolerance);
    verifyRows(p.dx(), m -> row.apply(m).dx(), tolerance);
  }

  @Override
  String op() {
    return super.op() + "/beta=" + beta;
  }

  @Override
  Work work() {
    double ofStudent = 2.0 * size(0) * size(1) * size(3);
    double ofTeacher = 2.0 * size(0) * size(2) * size(3);
    return Work.ofArithmetic()
        .cold(coldBytes(), 0)
        .operations(activationType(), 2 * ofStudent + ofTeacher);
  }
}
