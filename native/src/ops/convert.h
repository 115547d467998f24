// y = x between float32 and bfloat16, rounding to nearest even.   x, y: same dims.
#ifndef PRECIS_OPS_CONVERT_H_
#define PRECIS_OPS_CONVERT_H_

#include "ops/op.h"

namespace precis {

void convert_ref(const precis_convert_args& a);
PRECIS_DECLARE_CPU_KERNEL(convert_cpu, precis_convert_args)

}  // namespace precis

#endif  // PRECIS_OPS_CONVERT_H_
