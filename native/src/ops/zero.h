// y[m, n] = 0.   y (M, N) or (N), of any type.
#ifndef PRECIS_OPS_ZERO_H_
#define PRECIS_OPS_ZERO_H_

#include "ops/op.h"

namespace precis {

PRECIS_DECLARE_CPU_KERNEL(zero_cpu, precis_zero_args)

}  // namespace precis

#endif  // PRECIS_OPS_ZERO_H_
