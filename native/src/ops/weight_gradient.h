// The gradient of a product's weight.
//
//   dw[n, k] = alpha sum_m dy[m, n] x[m, k]   (+ dw[n, k] with accumulate)
//
// dy (M, N), x (M, K) float32 or bfloat16, dw (N, K) float32. dtype float32 widens both to float32,
// bfloat16 rounds both to it; products are added up in float32.
//
// Every dw[n, k] is one float32 sum that runs through m in order, whatever the blocking and the
// number of threads are. M may be 0.
#ifndef PRECIS_OPS_WEIGHT_GRADIENT_H_
#define PRECIS_OPS_WEIGHT_GRADIENT_H_

#include "ops/op.h"

namespace precis {

void weight_gradient_ref(const precis_weight_gradient_args& a);
PRECIS_DECLARE_CPU_KERNEL(weight_gradient_cpu, precis_weight_gradient_args)

}  // namespace precis

#endif  // PRECIS_OPS_WEIGHT_GRADIENT_H_
