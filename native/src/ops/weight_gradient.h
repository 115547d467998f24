// The gradient of a product's weight.
//
//   dw[n, k] = alpha sum_m dy[m, n] x[m, k]   (+ dw[n, k] with accumulate)
//
// dy (M, N), x (M, K) float32 or bfloat16, dw (N, K) float32. Both operands are converted to dtype,
// float32 or bfloat16; products are accumulated in float32.
//
// Every dw[n, k] is one float32 sum over m in ascending order, for any blocking and any number of
// threads. M may be 0.
#ifndef PRECIS_OPS_WEIGHT_GRADIENT_H_
#define PRECIS_OPS_WEIGHT_GRADIENT_H_

#include "ops/op.h"

namespace precis {

void weight_gradient_ref(const precis_weight_gradient_args& a);
PRECIS_DECLARE_CPU_KERNEL(weight_gradient_cpu, precis_weight_gradient_args)

}  // namespace precis

#endif  // PRECIS_OPS_WEIGHT_GRADIENT_H_
