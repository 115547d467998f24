// The gradient of add_bias:  dbias[n] += sum_m dy[m, n].   dy (M, N) float32 or bfloat16, dbias (N)
// float32.
#ifndef PRECIS_OPS_BIAS_GRADIENT_H_
#define PRECIS_OPS_BIAS_GRADIENT_H_

#include "ops/op.h"

namespace precis {

void bias_gradient_ref(const precis_bias_gradient_args& a);
PRECIS_DECLARE_CPU_KERNEL(bias_gradient_cpu, precis_bias_gradient_args)

}  // namespace precis

#endif  // PRECIS_OPS_BIAS_GRADIENT_H_
