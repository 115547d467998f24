// The gradients of layer norm, with n = (x - mean) r as in layer_norm.h and g = weight dy:
//
//   dx[m, d] (+)= r (g[m, d] - mean_d(g[m, d]) - n[m, d] mean_d(g[m, d] n[m, d]))
//   dweight[d] += sum_m dy[m, d] n[m, d]
//   dbias[d] += sum_m dy[m, d]
//
// x (M, D) float32, dy (M, D) float32 or bfloat16, dx (M, D) float32, weight, dweight and dbias (D)
// float32; dweight and dbias are optional, each by itself.
#ifndef PRECIS_OPS_LAYER_NORM_BACKWARD_H_
#define PRECIS_OPS_LAYER_NORM_BACKWARD_H_

#include "ops/op.h"

namespace precis {

void layer_norm_backward_ref(const precis_layer_norm_backward_args& a);
PRECIS_DECLARE_CPU_KERNEL(layer_norm_backward_cpu, precis_layer_norm_backward_args)

}  // namespace precis

#endif  // PRECIS_OPS_LAYER_NORM_BACKWARD_H_
