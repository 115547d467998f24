// The loss of knowledge distillation, by the generalized Jensen-Shannon divergence of a student from
// a teacher, mixed with the cross-entropy of labels. No logits are ever materialized as a whole.
//
//   z[m, v] = scale sum_d x[m, d] w[v, d],   u[m, v] = teacher_scale sum_e teacher_x[m, e] teacher_w[v, e]
//   q = softmax(z / T),   p = softmax(u / T),   r = beta p + (1 - beta) q,   T = temperature
//   divergences[m] = beta sum_v p log(p / r) + (1 - beta) sum_v q log(q / r)      0 < beta < 1
//                    sum_v p log(p / q)                                          beta = 0
//                    sum_v q log(q / p)                                          beta = 1
//   cross_entropies[m] = -log softmax(z)[m, labels[m]]
//
// The gradients, with a = divergence_weight, c = label_weight and s = softmax(z):
//
//   h[v] = (1 - beta) log(q / r)  if 0 < beta < 1;   log(q / p)  if beta = 1
//   g[m, v] = a / T q[v] (h[v] - sum_v q h) + c (s[v] - [v = labels[m]])         0 < beta
//             a / T (q[v] - p[v])           + c (s[v] - [v = labels[m]])         beta = 0
//   dx[m, d] = scale sum_v g[m, v] w[v, d]
//   dw[v, d] += scale sum_m g[m, v] x[m, d]
//
// x (M, D), teacher_x (M, E) float32 or bfloat16, w (V, D), teacher_w (V, E) packed float32 or
// bfloat16, labels (M) int32, the rest float32. x and g are converted to w's dtype, teacher_x to
// teacher_w's.
//
// Rows are processed as in linear_cross_entropy: a row whose label is -100 gets zeros and costs
// nothing, and a row's results depend on that row alone. NaN among a row's logits gives NaN.
#ifndef PRECIS_OPS_DISTILLATION_LOSS_H_
#define PRECIS_OPS_DISTILLATION_LOSS_H_

#include "ops/op.h"

namespace precis {

// log(q / p) is clamped to +-kMostLogRatio if 0 < beta < 1, so that its power is a number. What
// lies beyond contributes less than rounding does.
constexpr float kMostLogRatio = 80;

// w and teacher_w are the matrices that args.w and args.teacher_w were packed from.
void distillation_loss_ref(const precis_distillation_loss_args& args,
                           const precis_matmul_pack_args& w,
                           const precis_matmul_pack_args& teacher_w);
PRECIS_DECLARE_CPU_KERNEL(distillation_loss_cpu, precis_distillation_loss_args)

}  // namespace precis

#endif  // PRECIS_OPS_DISTILLATION_LOSS_H_
