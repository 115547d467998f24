package dev.precis.benchmarks;

import dev.precis.alignment.policy.Advantages;
import dev.precis.benchmarks.Provider.Call;
import dev.precis.ops.DistillationLoss;
import dev.precis.ops.LogProbabilities;
import dev.precis.ops.LogitHead;
import dev.precis.ops.Ops;
import dev.precis.ops.PpoLoss;
import dev.precis.tensor.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** Losses by this project's kernels, and advantages by its Java. */
final class PrecisLosses {
  private final PrecisProvider precis;
  private final Ops ops;

  PrecisLosses(PrecisProvider precis) {
    this.precis = precis;
    this.ops = precis.ops();
  }

  Call prepare(LossProblem problem) {
    return switch (problem) {
      case LossProblem.LinearCrossEntropy p -> linearCrossEntropy(p);
      case LossProblem.LogProbability p -> logProbability(p);
      case LossProblem.DistillationLoss p -> distillationLoss(p);
      case LossProblem.PpoLoss p -> ppoLoss(p);
      case LossProblem.Gae p -> gae(p);
    };
  }

  private LogitHead head(Tensor w) {
    return new LogitHead(precis.pack(w.dtype(), w), precis.packTransposed(w), 1);
  }

  private Call linearCrossEntropy(LossProblem.LinearCrossEntropy p) {
    LogitHead head = head(p.w());
    LogitHead.Gradients gradients = new LogitHead.Gradients(p.dx(), null);
    return () ->
        ops.linearCrossEntropy(
            p.x(), head, p.labels(), p.smoothing(), p.gradScale(), p.losses(), gradients);
  }

  private Call logProbability(LossProblem.LogProbability p) {
    LogitHead head = head(p.w());
    LogProbabilities outputs =
        new LogProbabilities(p.logProbabilities(), p.entropies(), p.dlogProbabilities());
    LogitHead.Gradients gradients = new LogitHead.Gradients(p.dx(), null);
    return () -> ops.logProbability(p.x(), head, p.labels(), outputs, null, gradients);
  }

  private Call distillationLoss(LossProblem.DistillationLoss p) {
    LogitHead head = head(p.w());
    DistillationLoss.Teacher teacher =
        new DistillationLoss.Teacher(
            p.teacherX(), new LogitHead(precis.pack(p.teacherW().dtype(), p.teacherW()), null, 1));
    DistillationLoss.Outputs outputs =
        new DistillationLoss.Outputs(p.divergences(), p.crossEntropies());
    LogitHead.Gradients gradients = new LogitHead.Gradients(p.dx(), null);
    return () ->
        ops.distillationLoss(
            p.x(), head, p.labels(), teacher, p.coefficients(), outputs, gradients);
  }

  private Call ppoLoss(LossProblem.PpoLoss p) {
    LogitHead head = head(p.w());
    PpoLoss.Inputs inputs =
        new PpoLoss.Inputs(
            p.actions(),
            p.weights(),
            p.oldLogProbabilities(),
            p.advantages(),
            null,
            p.oldValues(),
            p.returns());
    PpoLoss.Critic critic = new PpoLoss.Critic(p.values(), p.dvalues());
    PpoLoss.Outputs outputs =
        new PpoLoss.Outputs(p.logProbabilities(), p.entropies(), p.policyLosses(), p.valueLosses());
    LogitHead.Gradients gradients = new LogitHead.Gradients(p.dx(), null);
    return () -> ops.ppoLoss(p.x(), head, inputs, critic, p.coefficients(), outputs, gradients);
  }

  /**
   * Computes advantages as {@code dev.precis.alignment.policy.Ppo} does: in Java, over sequences
   * without padding.
   */
  private static Call gae(LossProblem.Gae p) {
    int sequences = Math.toIntExact(p.rewards().rows());
    int[] offsets = new int[sequences + 1];
    for (int s = 0; s < sequences; s++) {
      offsets[s + 1] = offsets[s] + p.lengths().memory().getAtIndex(ValueLayout.JAVA_INT, s);
    }
    int tokens = offsets[sequences];
    double[] rewards = new double[tokens];
    double[] values = new double[tokens];
    double[] advantages = new double[tokens];
    double[] behind = new double[sequences];
    boolean[] mask = new boolean[tokens];
    Arrays.fill(mask, true);
    for (int s = 0; s < sequences; s++) {
      for (int t = offsets[s]; t < offsets[s + 1]; t++) {
        rewards[t] = p.rewards().get(s, t - offsets[s]);
        values[t] = p.values().get(s, t - offsets[s]);
      }
    }
    return new Call() {
      @Override
      public void run() {
        Advantages.gae(rewards, values, mask, offsets, behind, p.gamma(), p.lambda(), advantages);
      }

      @Override
      public void publish() {
        long length = p.advantages().columns();
        p.advantages().memory().fill((byte) 0);
        for (int s = 0; s < sequences; s++) {
          for (int t = offsets[s]; t < offsets[s + 1]; t++) {
            p.advantages()
                .memory()
                .setAtIndex(
                    ValueLayout.JAVA_FLOAT, s * length + t - offsets[s], (float) advantages[t]);
          }
        }
      }
    };
  }
}
