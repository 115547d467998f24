// The cross-entropy of an output layer and its gradients. The logits are never materialized as a
// whole.
//
//   z[m, v] = scale sum_d x[m, d] w[v, d],   p = softmax of the rows of z
//   losses[m] = -(1 - e) log p[m, labels[m]] - e / V sum_v log p[m, v]
//   g[m, v] = p[m, v] - (1 - e) [v = labels[m]] - e / V
//   dx[m, d] = grad_scale scale sum_v g[m, v] w[v, d]
//   dw[v, d] += grad_scale scale sum_m g[m, v] x[m, d]
//
// x (M, D) float32 or bfloat16, w (V, D) packed float32 or bfloat16, labels (M) int32, losses (M),
// dx (M, D), dw (V, D) float32; e is label_smoothing. x and g are converted to w's dtype.
//
// A row whose label is -100 has loss 0 and no gradient. It costs nothing, because the other rows
// are gathered first. These are processed in blocks whose size depends on V and on their number. A
// row's loss and dx depend on that row alone. NaN among a row's logits gives NaN.
#ifndef PRECIS_OPS_LINEAR_CROSS_ENTROPY_H_
#define PRECIS_OPS_LINEAR_CROSS_ENTROPY_H_

#include "ops/op.h"

namespace precis {

constexpr int32_t kIgnoredLabel = -100;

// w is the matrix that args.w was packed from.
void linear_cross_entropy_ref(const precis_linear_cross_entropy_args& args,
                              const precis_matmul_pack_args& w);
PRECIS_DECLARE_CPU_KERNEL(linear_cross_entropy_cpu, precis_linear_cross_entropy_args)

}  // namespace precis

#endif  // PRECIS_OPS_LINEAR_CROSS_ENTROPY_H_
