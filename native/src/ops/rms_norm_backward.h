// The gradients of root mean square norm, with r[m] = 1 / sqrt(mean_d(x[m, d]^2) + epsilon):
//
//   dx[m, d] (+)= r (weight[d] dy[m, d] - x[m, d] r^2 mean_d(weight[d] dy[m, d] x[m, d]))
//   dweight[d] += sum_m dy[m, d] x[m, d] r[m]
//
// x (M, D) float32, dy (M, D) float32 or bfloat16, dx (M, D) float32, weight and dweight (D)
// float32; dweight is optional.
#ifndef PRECIS_OPS_RMS_NORM_BACKWARD_H_
#define PRECIS_OPS_RMS_NORM_BACKWARD_H_

#include "ops/op.h"

namespace precis {

void rms_norm_backward_ref(const precis_rms_norm_backward_args& a);
PRECIS_DECLARE_CPU_KERNEL(rms_norm_backward_cpu, precis_rms_norm_backward_args)

}  // namespace precis

#endif  // PRECIS_OPS_RMS_NORM_BACKWARD_H_
