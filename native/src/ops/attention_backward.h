// The gradients of attention (attention.h has its terms): with dout, the gradient with respect to
// out, and r = 1 / (1 - dropout),
//
//   p[i, j]  = exp(scale q[i] . k[j] + bias[bucket(j - i)] - log_sum_exp[i])
//   ds[i, j] = p[i, j] (z[i, j] dout[i] . v[j] - dout[i] . out[i]),   z = 0 or r
//   dv[j]    = sum_i z[i, j] p[i, j] dout[i]
//   dq[i]    = scale sum_j ds[i, j] k[j]
//   dk[j]    = scale sum_i ds[i, j] q[i]
//   dbias[b] += sum of ds[i, j] over all sequences and all i, j with bucket(j - i) = b
//
// for each head. dout . out is what softmax's gradient subtracts, sum_j p z (dout . v), with
// dropout too (Dao 2023, "FlashAttention-2"). dq, dk and dv are overwritten, keys that no query
// sees have a gradient of zero.
#ifndef PRECIS_OPS_ATTENTION_BACKWARD_H_
#define PRECIS_OPS_ATTENTION_BACKWARD_H_

#include "ops/op.h"

namespace precis {

void attention_backward_ref(const precis_attention_backward_args& b);
PRECIS_DECLARE_CPU_KERNEL(attention_backward_cpu, precis_attention_backward_args)

}  // namespace precis

#endif  // PRECIS_OPS_ATTENTION_BACKWARD_H_
