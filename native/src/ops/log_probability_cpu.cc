#include "ops/log_probability.h"
#include "ops/logit_rows.h"

namespace precis {
namespace PRECIS_ISA {

void log_probability_cpu(CpuContext& context, const precis_log_probability_args& a) {
  const int32_t* labels = static_cast<const int32_t*>(a.labels.data);
  const float* dlog_probabilities = static_cast<const float*>(a.dlog_probabilities.data);
  LogitRows all = {a.x, a.w, a.w_transposed, labels, a.scale, a.dx, a.dw, 1};
  if (a.divergences.data != nullptr) {
    all.reference_x = a.reference_x;
    all.reference_w = a.reference_w;
    all.reference_scale = a.scale;
  }
  const int64_t tokens = a.w.outputs;
  for (int64_t m = 0; m < rows(a.x); m++) {
    if (labels[m] != kIgnoredLabel) continue;
    for (const precis_tensor& t : {a.log_probabilities, a.entropies, a.divergences}) put(t, m, 0);
  }
  for_logit_rows(context, all, [&](int64_t m, float* z, const float* q) {
    const int32_t label = labels[m];
    const float of_label = z[label];
    if (q != nullptr) {
      const LogitSums of_q =
          sums_of(q, tokens, nullptr, [](int64_t, auto, Vec, Vec e) { return e; });
      const Vec shift = Vec::set1(of_q.largest);
      const LogitSums s = sums_of(z, tokens, nullptr, [&](int64_t i, auto lanes, Vec d, Vec e) {
        return e * (d - (lanes.load(q + i) - shift));
      });
      put(a.divergences, m, s.terms / s.sum - s.log_sum + of_q.log_sum);
    }
    const LogitSums s = sums_of(z, tokens, all.wants_gradient() ? z : nullptr,
                                [](int64_t, auto, Vec d, Vec e) { return d * e; });
    put(a.log_probabilities, m, of_label - s.largest - s.log_sum);
    put(a.entropies, m, s.log_sum - s.terms / s.sum);
    if (!all.wants_gradient()) return;
    const double c = dlog_probabilities[m];
    const Vec factor = Vec::set1(static_cast<float>(-c / s.sum));
    put_gradient(all, z, label, c * (1 - z[label] / s.sum), [&](Vec e) { return e * factor; });
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis
