// The product of a layer with LoRA adapters (Hu et al. 2021), fused:
//
//   y[m, n] = alpha (sum_k x[m, k] W[n, k] + sum_i [n in O_i] sum_{r in R_i} (s_i t[m, r]) B[n, r])
//   t[m, r] = sum_k x[m, k] A[r, k]                      (+ y[m, n] with accumulate)
//
// x, W, y as in matmul.h; A (R, K) and B (N, R) packed float32 or bfloat16; segment i has the
// outputs O_i, the ranks R_i and the scaling s_i. x is rounded as A's dtype asks for t, and s_i t
// as B's dtype does. The low-rank sums continue in the accumulators of x W', segment after segment.
#ifndef PRECIS_OPS_LORA_MATMUL_H_
#define PRECIS_OPS_LORA_MATMUL_H_

#include "ops/op.h"

namespace precis {

// w, a, b: what the packed matrices were packed from.
void lora_matmul_ref(const precis_lora_matmul_args& args, const precis_matmul_pack_args& w,
                     const precis_matmul_pack_args& a, const precis_matmul_pack_args& b);

PRECIS_DECLARE_CPU_KERNEL(lora_matmul_cpu, precis_lora_matmul_args)

}  // namespace precis

#endif  // PRECIS_OPS_LORA_MATMUL_H_
