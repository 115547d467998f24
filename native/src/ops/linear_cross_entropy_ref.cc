#include "ops/linear_cross_entropy.h"
#include "ops/logit_rows_ref.h"

namespace precis {

void linear_cross_entropy_ref(const precis_linear_cross_entropy_args& a,
                              const precis_matmul_pack_args& w) {
  const int64_t tokens = a.w.outputs;
  const double e = a.label_smoothing;
  LogitRowsRef all(a.x, a.w.dtype, w, tokens, a.scale);
  for (int64_t m = 0; m < rows(a.x); m++) {
    const int32_t label = label_of(a.labels, m);
    std::vector<double> g(tokens, 0.0);
    double loss = 0;
    if (label != kIgnoredLabel) {
      const std::vector<double> log_p = all.log_probabilities(m);
      double mean = 0;
      for (double l : log_p) mean += l / static_cast<double>(tokens);
      loss = -(1 - e) * log_p[label] - e * mean;
      for (int64_t v = 0; v < tokens; v++) {
        const double wanted = v == label ? 1 - e : 0;
        g[v] = std::exp(log_p[v]) - wanted - e / static_cast<double>(tokens);
      }
    }
    store_row(a.losses, m, loss);
    all.add_gradient(m, g, a.dx, a.grad_scale);
  }
  all.add_to(a.dw);
}

}  // namespace precis
