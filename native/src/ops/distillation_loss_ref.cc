#include "ops/distillation_loss.h"
#include "ops/logit_rows_ref.h"

namespace precis {

void distillation_loss_ref(const precis_distillation_loss_args& a, const precis_matmul_pack_args& w,
                           const precis_matmul_pack_args& teacher_w) {
  const int64_t tokens = a.w.outputs;
  const double beta = a.beta, temperature = a.temperature;
  LogitRowsRef all(a.x, a.w.dtype, w, tokens, a.scale);
  // The same rows with a temperature: log softmax of the logits divided by it.
  LogitRowsRef student(a.x, a.w.dtype, w, tokens, a.scale / temperature);
  LogitRowsRef teacher(a.teacher_x, a.teacher_w.dtype, teacher_w, tokens,
                       a.teacher_scale / temperature);
  for (int64_t m = 0; m < rows(a.x); m++) {
    const int32_t label = label_of(a.labels, m);
    std::vector<double> g(tokens, 0.0);
    double divergence = 0, cross_entropy = 0;
    if (label != kIgnoredLabel) {
      const std::vector<double> log_s = all.log_probabilities(m);
      const std::vector<double> log_q = student.log_probabilities(m);
      const std::vector<double> log_p = teacher.log_probabilities(m);
      cross_entropy = -log_s[label];
      std::vector<double> h(tokens, 0.0);
      double mean = 0;
      for (int64_t v = 0; v < tokens; v++) {
        const double p = std::exp(log_p[v]), q = std::exp(log_q[v]);
        if (beta == 0) {
          divergence += p * (log_p[v] - log_q[v]);
          continue;
        }
        if (beta == 1) {
          divergence += q * (log_q[v] - log_p[v]);
          h[v] = log_q[v] - log_p[v];
        } else {
          // log r by the larger of its two terms, so that none of them underflows.
          const double of_p = std::log(beta) + log_p[v], of_q = std::log1p(-beta) + log_q[v];
          const double most = std::fmax(of_p, of_q), least = std::fmin(of_p, of_q);
          const double log_r = most + std::log1p(std::exp(least - most));
          divergence += beta * p * (log_p[v] - log_r) + (1 - beta) * q * (log_q[v] - log_r);
          h[v] = (1 - beta) * (log_q[v] - log_r);
        }
        mean += q * h[v];
      }
      const double weight = a.divergence_weight / temperature;
      for (int64_t v = 0; v < tokens; v++) {
        const double p = std::exp(log_p[v]), q = std::exp(log_q[v]);
        g[v] = weight * (beta == 0 ? q - p : q * (h[v] - mean)) +
               a.label_weight * (std::exp(log_s[v]) - (v == label));
      }
    }
    store_row(a.divergences, m, divergence);
    store_row(a.cross_entropies, m, cross_entropy);
    all.add_gradient(m, g, a.dx, 1);
  }
  all.add_to(a.dw);
}

}  // namespace precis
