package dev.precis.ops;

import dev.precis.ffi.Context;
import dev.precis.ffi.generated.Precis;
import dev.precis.ffi.generated.precis_distillation_loss_args;
import dev.precis.ffi.generated.precis_linear_cross_entropy_args;
import dev.precis.ffi.generated.precis_log_probability_args;
import dev.precis.ffi.generated.precis_ppo_loss_args;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Losses that are fused with the product of the output layer. */
final class LossKernels extends Kernels {
  private final MemorySegment linearCrossEntropy = block(precis_linear_cross_entropy_args.layout());
  private final MemorySegment logProbability = block(precis_log_probability_args.layout());
  private final MemorySegment ppoLoss = block(precis_ppo_loss_args.layout());
  private final MemorySegment distillationLoss = block(precis_distillation_loss_args.layout());

  LossKernels(Context context, OpTimer timer, Arena arena) {
    super(context, timer, arena);
  }

  /**
   * Counts the products with the output layer: the logits, those of another model, and the
   * gradients. Logits that a kernel computes twice count once.
   */
  private void count(Tensor x, LogitHead head, LogitHead.Gradients gradients, Tensor other) {
    if (timer.isOn()) {
      int products =
          1
              + (other == null ? 0 : 1)
              + (gradients.dx() == null ? 0 : 1)
              + (gradients.dw() == null ? 0 : 1);
      timer.count(products * products(x, head.packed()), products * bytes(head.packed()));
    }
  }

  void linearCrossEntropy(
      Tensor x,
      LogitHead head,
      Tensor labels,
      float labelSmoothing,
      float gradScale,
      Tensor losses,
      LogitHead.Gradients gradients) {
    MemorySegment to = linearCrossEntropy;
    put(to, precis_linear_cross_entropy_args.x$offset(), x);
    put(to, precis_linear_cross_entropy_args.w$offset(), head.packed());
    put(to, precis_linear_cross_entropy_args.w_transposed$offset(), head.transposed());
    put(to, precis_linear_cross_entropy_args.labels$offset(), labels);
    put(to, precis_linear_cross_entropy_args.losses$offset(), losses);
    put(to, precis_linear_cross_entropy_args.dx$offset(), gradients.dx());
    put(to, precis_linear_cross_entropy_args.dw$offset(), gradients.dw());
    precis_linear_cross_entropy_args.scale(to, head.scale());
    precis_linear_cross_entropy_args.label_smoothing(to, labelSmoothing);
    precis_linear_cross_entropy_args.grad_scale(to, gradScale);
    count(x, head, gradients, null);
    check("linear_cross_entropy", Precis.precis_linear_cross_entropy(begin(), to));
  }

  void logProbability(
      Tensor x,
      LogitHead head,
      Tensor labels,
      LogProbabilities outputs,
      LogitHead.Divergence divergence,
      LogitHead.Gradients gradients) {
    MemorySegment to = logProbability;
    boolean diverges = divergence != null;
    put(to, precis_log_probability_args.x$offset(), x);
    put(to, precis_log_probability_args.w$offset(), head.packed());
    put(to, precis_log_probability_args.w_transposed$offset(), head.transposed());
    put(to, precis_log_probability_args.labels$offset(), labels);
    put(to, precis_log_probability_args.log_probabilities$offset(), outputs.logProbabilities());
    put(to, precis_log_probability_args.entropies$offset(), outputs.entropies());
    put(
        to,
        precis_log_probability_args.reference_x$offset(),
        diverges ? divergence.referenceX() : null);
    put(
        to,
        precis_log_probability_args.reference_w$offset(),
        diverges ? divergence.referenceW() : null);
    put(
        to,
        precis_log_probability_args.divergences$offset(),
        diverges ? divergence.divergences() : null);
    put(to, precis_log_probability_args.dlog_probabilities$offset(), outputs.dlogProbabilities());
    put(to, precis_log_probability_args.dx$offset(), gradients.dx());
    put(to, precis_log_probability_args.dw$offset(), gradients.dw());
    precis_log_probability_args.scale(to, head.scale());
    count(x, head, gradients, divergence == null ? null : divergence.referenceX());
    check("log_probability", Precis.precis_log_probability(begin(), to));
  }

  void ppoLoss(
      Tensor x,
      LogitHead head,
      PpoLoss.Inputs inputs,
      PpoLoss.Critic critic,
      PpoLoss.Coefficients coefficients,
      PpoLoss.Outputs outputs,
      LogitHead.Gradients gradients) {
    MemorySegment to = ppoLoss;
    put(to, precis_ppo_loss_args.x$offset(), x);
    put(to, precis_ppo_loss_args.w$offset(), head.packed());
    put(to, precis_ppo_loss_args.w_transposed$offset(), head.transposed());
    put(to, precis_ppo_loss_args.actions$offset(), inputs.actions());
    put(to, precis_ppo_loss_args.weights$offset(), inputs.weights());
    put(to, precis_ppo_loss_args.old_log_probabilities$offset(), inputs.oldLogProbabilities());
    put(to, precis_ppo_loss_args.advantages$offset(), inputs.advantages());
    put(
        to,
        precis_ppo_loss_args.reference_log_probabilities$offset(),
        inputs.referenceLogProbabilities());
    put(to, precis_ppo_loss_args.values$offset(), critic == null ? null : critic.values());
    put(to, precis_ppo_loss_args.old_values$offset(), inputs.oldValues());
    put(to, precis_ppo_loss_args.returns$offset(), inputs.returns());
    put(to, precis_ppo_loss_args.log_probabilities$offset(), outputs.logProbabilities());
    put(to, precis_ppo_loss_args.entropies$offset(), outputs.entropies());
    put(to, precis_ppo_loss_args.policy_losses$offset(), outputs.policyLosses());
    put(to, precis_ppo_loss_args.value_losses$offset(), outputs.valueLosses());
    put(to, precis_ppo_loss_args.dx$offset(), gradients.dx());
    put(to, precis_ppo_loss_args.dw$offset(), gradients.dw());
    put(to, precis_ppo_loss_args.dvalues$offset(), critic == null ? null : critic.dvalues());
    precis_ppo_loss_args.scale(to, head.scale());
    precis_ppo_loss_args.clip_range_low(to, coefficients.clipRangeLow());
    precis_ppo_loss_args.clip_range_high(to, coefficients.clipRangeHigh());
    precis_ppo_loss_args.clip_range_value(to, coefficients.clipRangeValue());
    precis_ppo_loss_args.value_coefficient(to, coefficients.valueCoefficient());
    precis_ppo_loss_args.entropy_coefficient(to, coefficients.entropyCoefficient());
    precis_ppo_loss_args.kl_coefficient(to, coefficients.klCoefficient());
    count(x, head, gradients, null);
    check("ppo_loss", Precis.precis_ppo_loss(begin(), to));
  }

  void distillationLoss(
      Tensor x,
      LogitHead head,
      Tensor labels,
      DistillationLoss.Teacher teacher,
      DistillationLoss.Coefficients coefficients,
      DistillationLoss.Outputs outputs,
      LogitHead.Gradients gradients) {
    MemorySegment to = distillationLoss;
    put(to, precis_distillation_loss_args.x$offset(), x);
    put(to, precis_distillation_loss_args.w$offset(), head.packed());
    put(to, precis_distillation_loss_args.w_transposed$offset(), head.transposed());
    put(to, precis_distillation_loss_args.labels$offset(), labels);
    put(to, precis_distillation_loss_args.teacher_x$offset(), teacher.x());
    put(to, precis_distillation_loss_args.teacher_w$offset(), teacher.head().packed());
    put(to, precis_distillation_loss_args.divergences$offset(), outputs.divergences());
    put(to, precis_distillation_loss_args.cross_entropies$offset(), outputs.crossEntropies());
    put(to, precis_distillation_loss_args.dx$offset(), gradients.dx());
    put(to, precis_distillation_loss_args.dw$offset(), gradients.dw());
    precis_distillation_loss_args.scale(to, head.scale());
    precis_distillation_loss_args.teacher_scale(to, teacher.head().scale());
    precis_distillation_loss_args.temperature(to, coefficients.temperature());
    precis_distillation_loss_args.beta(to, coefficients.beta());
    precis_distillation_loss_args.divergence_weight(to, coefficients.divergenceWeight());
    precis_distillation_loss_args.label_weight(to, coefficients.labelWeight());
    count(x, head, gradients, teacher.x());
    check("distillation_loss", Precis.precis_distillation_loss(begin(), to));
  }
}
