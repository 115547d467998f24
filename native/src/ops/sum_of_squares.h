// *result = sum_i x[i]^2, in double precision.
//
// x (N) float32. Squares of float32 are exact in double precision and added in a fixed order, so
// the result is bitwise identical for any number of threads and any instruction set.
#ifndef PRECIS_OPS_SUM_OF_SQUARES_H_
#define PRECIS_OPS_SUM_OF_SQUARES_H_

#include "ops/op.h"

namespace precis {

void sum_of_squares_ref(const precis_sum_of_squares_args& a);
PRECIS_DECLARE_CPU_KERNEL(sum_of_squares_cpu, precis_sum_of_squares_args)

}  // namespace precis

#endif  // PRECIS_OPS_SUM_OF_SQUARES_H_
