#include "ops/linear_cross_entropy.h"
#include "ops/logit_rows.h"

namespace precis {
namespace PRECIS_ISA {

void linear_cross_entropy_cpu(CpuContext& context, const precis_linear_cross_entropy_args& a) {
  const int32_t* labels = static_cast<const int32_t*>(a.labels.data);
  const LogitRows all = {a.x, a.w, a.w_transposed, labels, a.scale, a.dx, a.dw, a.grad_scale};
  const int64_t tokens = a.w.outputs;
  const double smoothing = a.label_smoothing, share = smoothing / static_cast<double>(tokens);
  for (int64_t m = 0; m < rows(a.x); m++) {
    if (labels[m] == kIgnoredLabel) put(a.losses, m, 0);
  }
  for_logit_rows(context, all, [&](int64_t m, float* z, const float*) {
    const int32_t label = labels[m];
    const float of_label = z[label];
    const LogitSums s = sums_of(z, tokens, all.wants_gradient() ? z : nullptr,
                                [](int64_t, auto, Vec d, Vec) { return d; });
    double loss = -(1 - smoothing) * (of_label - s.largest - s.log_sum);
    if (smoothing > 0) loss -= share * s.terms - smoothing * s.log_sum;
    put(a.losses, m, loss);
    if (!all.wants_gradient()) return;
    const double of_others = z[label] / s.sum - share;
    const Vec inverse = Vec::set1(static_cast<float>(1 / s.sum));
    const Vec offset = Vec::set1(static_cast<float>(-share));
    put_gradient(all, z, label, of_others - (1 - smoothing),
                 [&](Vec e) { return fma(e, inverse, offset); });
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis
