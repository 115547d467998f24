#include <memory>

#include "ops/log_probability.h"
#include "ops/logit_rows_ref.h"

namespace precis {

void log_probability_ref(const precis_log_probability_args& a, const precis_matmul_pack_args& w,
                         const precis_matmul_pack_args& reference_w) {
  const int64_t tokens = a.w.outputs;
  LogitRowsRef all(a.x, a.w.dtype, w, tokens, a.scale);
  std::unique_ptr<LogitRowsRef> reference;
  if (a.divergences.data != nullptr) {
    reference = std::make_unique<LogitRowsRef>(a.reference_x, a.reference_w.dtype, reference_w,
                                               tokens, a.scale);
  }
  for (int64_t m = 0; m < rows(a.x); m++) {
    const int32_t label = label_of(a.labels, m);
    std::vector<double> log_p(tokens, 0.0), g(tokens, 0.0);
    double entropy = 0, divergence = 0;
    if (label != kIgnoredLabel) {
      log_p = all.log_probabilities(m);
      entropy = entropy_ref(log_p);
      if (reference != nullptr) {
        const std::vector<double> log_q = reference->log_probabilities(m);
        for (int64_t v = 0; v < tokens; v++) {
          divergence += std::exp(log_p[v]) * (log_p[v] - log_q[v]);
        }
      }
      const double c =
          a.dlog_probabilities.data == nullptr ? 0 : load_element(a.dlog_probabilities, 0, m);
      for (int64_t v = 0; v < tokens; v++) g[v] = c * ((v == label) - std::exp(log_p[v]));
    }
    store_row(a.log_probabilities, m, label == kIgnoredLabel ? 0 : log_p[label]);
    store_row(a.entropies, m, entropy);
    store_row(a.divergences, m, divergence);
    all.add_gradient(m, g, a.dx, 1);
  }
  all.add_to(a.dw);
}

}  // namespace precis
