#include "ops/logit_checks.h"

namespace precis {

void check_log_probability(const Check& check, const precis_log_probability_args& a) {
  check_logit_rows(check, a.x, a.w, a.w_transposed, "labels", a.labels, a.dx, a.dw, a.scale);
  check.row_vector("log_probabilities", a.log_probabilities, a.x);
  if (a.entropies.data != nullptr) check.row_vector("entropies", a.entropies, a.x);
  const bool reference = a.divergences.data != nullptr;
  if (reference) {
    check.row_vector("divergences", a.divergences, a.x);
    check.tensor("reference_x", a.reference_x, 2, kFloats);
    check.same_dims("reference_x", a.reference_x, "x", a.x);
    check.packed("reference_w", a.reference_w, kFloats);
    check.same_dims("reference_w", a.reference_w, "w", a.w);
  }
  const bool gradient = a.dx.data != nullptr || a.dw.data != nullptr;
  if (gradient) check.row_vector("dlog_probabilities", a.dlog_probabilities, a.x);
  check.that(gradient || a.dlog_probabilities.data == nullptr,
             "there are dlog_probabilities, but neither dx nor dw");
  const std::initializer_list<Memory> outputs = {{"log_probabilities", a.log_probabilities},
                                                 {"entropies", a.entropies},
                                                 {"divergences", a.divergences},
                                                 {"dx", a.dx},
                                                 {"dw", a.dw}};
  check.outputs_apart(outputs, {{"x", a.x},
                                {"labels", a.labels},
                                {"dlog_probabilities", a.dlog_probabilities},
                                check.memory("w", a.w),
                                transposed_memory(check, a.w_transposed, a.dx)});
  if (!reference) return;
  check.outputs_apart(outputs,
                      {{"reference_x", a.reference_x}, check.memory("reference_w", a.reference_w)});
}

}  // namespace precis
