// Activation functions, plain or as the gate of a feed-forward layer (Shazeer 2020).
//
//   y[m, f] = act(x[m, f])                   x (M, F)
//   y[m, f] = act(x[m, f]) * x[m, F + f]     gated, x (M, 2F)
//
// act: ReLU, x sigmoid(x) (SiLU), tanh, x Phi(x) (GELU) or GELU's tanh form
// 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). y (M, F); float32 or bfloat16 on either side,
// computed in float32. Not gated, y may be x.
#ifndef PRECIS_OPS_ACTIVATION_H_
#define PRECIS_OPS_ACTIVATION_H_

#include "ops/op.h"

namespace precis {

void check_activation_kind(const Check& check, int32_t kind);

void activation_ref(const precis_activation_args& a);
PRECIS_DECLARE_CPU_KERNEL(activation_cpu, precis_activation_args)

}  // namespace precis

#endif  // PRECIS_OPS_ACTIVATION_H_
