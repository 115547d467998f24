#include "ops/logit_checks.h"

namespace precis {

void check_linear_cross_entropy(const Check& check, const precis_linear_cross_entropy_args& a) {
  check_logit_rows(check, a.x, a.w, a.w_transposed, "labels", a.labels, a.dx, a.dw, a.scale);
  check.row_vector("losses", a.losses, a.x);
  check.finite("grad_scale", a.grad_scale);
  check.fraction("label_smoothing", a.label_smoothing);
  check.outputs_apart({{"losses", a.losses}, {"dx", a.dx}, {"dw", a.dw}},
                      {{"x", a.x},
                       {"labels", a.labels},
                       check.memory("w", a.w),
                       transposed_memory(check, a.w_transposed, a.dx)});
}

}  // namespace precis
