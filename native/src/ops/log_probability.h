// The log-probabilities that a policy gives to tokens. The logits are never materialized as a
// whole.
//
//   z[m, v] = scale sum_d x[m, d] w[v, d],   p = softmax of the rows of z
//   log_probabilities[m] = log p[m, labels[m]]
//   entropies[m] = -sum_v p[m, v] log p[m, v]
//   divergences[m] = sum_v p[m, v] (log p[m, v] - log q[m, v]),   q: of reference_x and reference_w
//   g[m, v] = dlog_probabilities[m] ([v = labels[m]] - p[m, v])
//   dx[m, d] = scale sum_v g[m, v] w[v, d]
//   dw[v, d] += scale sum_m g[m, v] x[m, d]
//
// x, reference_x (M, D) float32 or bfloat16, w, reference_w (V, D) packed float32 or bfloat16,
// labels (M) int32, the rest float32. x and g are converted to w's dtype.
//
// Rows are processed as in linear_cross_entropy: a row whose label is -100 gets zeros and costs
// nothing, and a row's results depend on that row alone. NaN among a row's logits gives NaN.
#ifndef PRECIS_OPS_LOG_PROBABILITY_H_
#define PRECIS_OPS_LOG_PROBABILITY_H_

#include "ops/op.h"

namespace precis {

// w and reference_w are the matrices that args.w and args.reference_w were packed from. reference_w
// is ignored without divergences.
void log_probability_ref(const precis_log_probability_args& args, const precis_matmul_pack_args& w,
                         const precis_matmul_pack_args& reference_w);
PRECIS_DECLARE_CPU_KERNEL(log_probability_cpu, precis_log_probability_args)

}  // namespace precis

#endif  // PRECIS_OPS_LOG_PROBABILITY_H_
