// Softmax, or its logarithm, along the rows of x (M, N) float32; y (M, N) float32 may be x.
//
//   y[m, n] = exp(x[m, n]) / sum_j exp(x[m, j])        logarithm: y = x - log(sum_j exp(x[m, j]))
//
// NaN, +inf and a row of nothing but -inf are invalid arguments; what y then holds is undefined.
#ifndef PRECIS_OPS_SOFTMAX_H_
#define PRECIS_OPS_SOFTMAX_H_

#include "ops/op.h"

namespace precis {

void softmax_ref(const precis_softmax_args& a);
PRECIS_DECLARE_CPU_KERNEL(softmax_cpu, precis_softmax_args)

}  // namespace precis

#endif  // PRECIS_OPS_SOFTMAX_H_
