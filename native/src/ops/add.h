// y[m, n] += alpha x[m, n].
//
// x, y (M, N) float32 or bfloat16 each; the sum is rounded once.
#ifndef PRECIS_OPS_ADD_H_
#define PRECIS_OPS_ADD_H_

#include "ops/op.h"

namespace precis {

void add_ref(const precis_add_args& a);
PRECIS_DECLARE_CPU_KERNEL(add_cpu, precis_add_args)

}  // namespace precis

#endif  // PRECIS_OPS_ADD_H_
