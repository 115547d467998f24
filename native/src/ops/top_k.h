// The k largest of each row, largest first, the lower index first among equals.
//
// x (M, N) float32, values (M, k) float32, indices (M, k) int32. NaN is an invalid argument; -inf
// and +inf are values like others.
#ifndef PRECIS_OPS_TOP_K_H_
#define PRECIS_OPS_TOP_K_H_

#include "ops/op.h"

namespace precis {

void top_k_ref(const precis_top_k_args& a);
PRECIS_DECLARE_CPU_KERNEL(top_k_cpu, precis_top_k_args)

}  // namespace precis

#endif  // PRECIS_OPS_TOP_K_H_
