// log_probabilities[m] = log p[labels[m]], entropies[m] = -sum_v p log p and
// divergences[m] = sum_v p (log p - log q), p and q softmax of scale x w' and of a reference's, and
// the gradients of the first                                       native/src/ops/log_probability.h
//
// With d[v] = z[v] - largest and S = sum exp(d):
//   log p = d - log S,  entropy = log S - sum d exp(d) / S,  g[v] = c ([v = label] - exp(d[v]) / S)
// The divergence is summed over differences of logits, so that a small divergence is not lost in
// the rounding of large terms and the divergence from itself is 0. logit_rows.cuh describes the
// kernels.
#include "logit_rows.cuh"

namespace precis {
namespace {

struct LogProbability {
  precis_tensor log_probabilities, entropies, divergences;
  const float* dlog_probabilities;  // nullptr: no gradient is wanted

  __device__ void leave_out(int64_t m) const {
    put(log_probabilities, m, 0);
    put(entropies, m, 0);
    put(divergences, m, 0);
  }

  __device__ LogitGradient finish(int64_t m, const RowSums& s) const {
    const double d = static_cast<double>(s.of_label) - s.largest;
    put(log_probabilities, m, d - s.log_sum);
    put(entropies, m, s.log_sum - s.terms / s.sum);
    put(divergences, m, s.divergence);
    const double c = dlog_probabilities == nullptr ? 0 : dlog_probabilities[m];
    return {static_cast<float>(-c / s.sum), 0, 0, static_cast<float>(c * (1 - exp(d) / s.sum))};
  }
};

}  // namespace

cudaError_t log_probability_cuda(CudaContext& context, const precis_log_probability_args& a) {
  LogitRows rows = logit_rows(a, a.labels, ProblemOp::kLogProbability);
  if (a.divergences.data != nullptr) {
    rows.reference_x = a.reference_x;
    rows.reference_w = a.reference_w;
    rows.reference_scale = a.scale;
  }
  return for_logit_rows(context, rows,
                        LogProbability{a.log_probabilities, a.entropies, a.divergences,
                                       static_cast<const float*>(a.dlog_probabilities.data)});
}

}  // namespace precis
