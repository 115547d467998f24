// Layer norm (Ba, Kiros & Hinton 2016), with r[m] = 1 / sqrt(mean_d((x[m, d] - mean)^2) + epsilon):
//
//   y[m, d] = (x[m, d] - mean_d(x[m, d])) r[m] weight[d] + bias[d]
//
// x (M, D) float32, weight and bias (D) float32, y (M, D) float32 or bfloat16.
#ifndef PRECIS_OPS_LAYER_NORM_H_
#define PRECIS_OPS_LAYER_NORM_H_

#include "ops/op.h"

namespace precis {

void layer_norm_ref(const precis_layer_norm_args& a);
PRECIS_DECLARE_CPU_KERNEL(layer_norm_cpu, precis_layer_norm_args)

}  // namespace precis

#endif  // PRECIS_OPS_LAYER_NORM_H_
