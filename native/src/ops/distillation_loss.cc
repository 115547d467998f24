#include "ops/logit_checks.h"

namespace precis {

void check_distillation_loss(const Check& check, const precis_distillation_loss_args& a) {
  check_logit_rows(check, a.x, a.w, a.w_transposed, "labels", a.labels, a.dx, a.dw, a.scale);
  check.tensor("teacher_x", a.teacher_x, 2, kFloats);
  check.dim("teacher_x", a.teacher_x, 0, a.x.dims[0], "x's number of rows");
  check.packed("teacher_w", a.teacher_w, kFloats);
  check.dim("teacher_x", a.teacher_x, 1, a.teacher_w.inputs, "teacher_w's number of inputs");
  check.that(a.teacher_w.outputs == a.w.outputs, "teacher_w has ", a.teacher_w.outputs,
             " outputs, but w has ", a.w.outputs);
  check.row_vector("divergences", a.divergences, a.x);
  check.row_vector("cross_entropies", a.cross_entropies, a.x);
  check.finite("teacher_scale", a.teacher_scale);
  check.finite("temperature", a.temperature);
  check.that(a.temperature > 0, "temperature is ", a.temperature, ", but must be above 0");
  check.that(a.beta >= 0 && a.beta <= 1, "beta is ", a.beta, ", but must be in [0, 1]");
  check.finite("divergence_weight", a.divergence_weight);
  check.finite("label_weight", a.label_weight);
  check.outputs_apart({{"divergences", a.divergences},
                       {"cross_entropies", a.cross_entropies},
                       {"dx", a.dx},
                       {"dw", a.dw}},
                      {{"x", a.x},
                       {"labels", a.labels},
                       {"teacher_x", a.teacher_x},
                       check.memory("w", a.w),
                       check.memory("teacher_w", a.teacher_w),
                       transposed_memory(check, a.w_transposed, a.dx)});
}

}  // namespace precis
