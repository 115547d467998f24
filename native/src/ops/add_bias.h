// y[m, n] += bias[n].   y (M, N) float32 or bfloat16, bias (N) float32.
#ifndef PRECIS_OPS_ADD_BIAS_H_
#define PRECIS_OPS_ADD_BIAS_H_

#include "ops/op.h"

namespace precis {

void add_bias_ref(const precis_add_bias_args& a);
PRECIS_DECLARE_CPU_KERNEL(add_bias_cpu, precis_add_bias_args)

}  // namespace precis

#endif  // PRECIS_OPS_ADD_BIAS_H_
