// The gradient of an activation function, plain or as the gate of a feed-forward layer:
//
//   dx[m, f] = dy[m, f] act'(x[m, f])                        x, dx (M, F)
//   dx[m, f] = dy[m, f] act'(x[m, f]) x[m, F + f]            gated, x, dx (M, 2F)
//   dx[m, F + f] = dy[m, f] act(x[m, f])
//
// dy (M, F); float32 or bfloat16 each, computed in float32. Not gated, dx may be dy. ReLU has slope
// 0 at 0.
#ifndef PRECIS_OPS_ACTIVATION_BACKWARD_H_
#define PRECIS_OPS_ACTIVATION_BACKWARD_H_

#include "ops/op.h"

namespace precis {

void activation_backward_ref(const precis_activation_backward_args& a);
PRECIS_DECLARE_CPU_KERNEL(activation_backward_cpu, precis_activation_backward_args)

}  // namespace precis

#endif  // PRECIS_OPS_ACTIVATION_BACKWARD_H_
