// The policy loss and the value loss of PPO and their gradients. The logits are never materialized
// as a whole.
//
//   z[m, v] = scale sum_d x[m, d] w[v, d],   p = softmax of the rows of z,   a = actions[m]
//   n = log p[m, a],   r = exp(n - old_log_probabilities[m]),   A = advantages[m]
//   policy_losses[m] = max(-A r, -A clamp(r, 1 - clip_range_low, 1 + clip_range_high))
//   entropies[m] = H = -sum_v p[m, v] log p[m, v]
//   g[m, v] = weights[m] (c ([v = a] - p[m, v]) + entropy_coefficient p[m, v] (log p[m, v] + H))
//   c = d policy_losses[m] / dn + kl_coefficient (1 - exp(reference_log_probabilities[m] - n))
//   dx[m, d] = scale sum_v g[m, v] w[v, d]
//   dw[v, d] += scale sum_m g[m, v] x[m, d]
//
// and the value loss and its gradient as in precis.h. As in PyTorch, max splits its gradient
// equally between equal arguments, and clamp passes its whole gradient on the bounds. r is computed
// from n as it is stored, in float32, so r is 1 where old_log_probabilities came from the same
// policy.
//
// x (M, D) float32 or bfloat16, w (V, D) packed float32 or bfloat16, actions (M) int32, the rest
// float32. x and g are converted to w's dtype.
//
// Rows are processed as in linear_cross_entropy: a row whose action is -100 gets zeros and costs
// nothing, and a row's results depend on that row alone. NaN among a row's logits gives NaN.
#ifndef PRECIS_OPS_PPO_LOSS_H_
#define PRECIS_OPS_PPO_LOSS_H_

#include "ops/op.h"

namespace precis {

// w is the matrix that args.w was packed from.
void ppo_loss_ref(const precis_ppo_loss_args& args, const precis_matmul_pack_args& w);
PRECIS_DECLARE_CPU_KERNEL(ppo_loss_cpu, precis_ppo_loss_args)

}  // namespace precis

#endif  // PRECIS_OPS_PPO_LOSS_H_
