// Dropout (Srivastava et al. 2014):  y[m, n] (+)= x[m, n] mask[m, n] / (1 - probability).
//
// random/dropout_mask.h defines the mask, at index m N + n, or at that of the row that dropout_rows
// (M) int64 names. x, y (M, N) float32 or bfloat16 each.
// With accumulate y must be float32; without it y may be x. The gradient is the same operation on
// dy.
#ifndef PRECIS_OPS_DROPOUT_H_
#define PRECIS_OPS_DROPOUT_H_

#include "ops/op.h"

namespace precis {

void dropout_ref(const precis_dropout_args& a);
PRECIS_DECLARE_CPU_KERNEL(dropout_cpu, precis_dropout_args)

}  // namespace precis

#endif  // PRECIS_OPS_DROPOUT_H_
