// Root mean square norm (Zhang & Sennrich 2019), T5's layer norm: no mean is subtracted, no bias.
//
//   y[m, d] = x[m, d] / sqrt(mean_d(x[m, d]^2) + epsilon) * weight[d]
//
// x (M, D) float32, weight (D) float32, y (M, D) float32 or bfloat16.
#ifndef PRECIS_OPS_RMS_NORM_H_
#define PRECIS_OPS_RMS_NORM_H_

#include "ops/op.h"

namespace precis {

void rms_norm_ref(const precis_rms_norm_args& a);
PRECIS_DECLARE_CPU_KERNEL(rms_norm_cpu, precis_rms_norm_args)

}  // namespace precis

#endif  // PRECIS_OPS_RMS_NORM_H_
