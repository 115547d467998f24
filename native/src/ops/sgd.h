// One step of stochastic gradient descent with momentum, number step of them:
//
//   g = gradient_scale gradient + weight_decay p
//   momentum: b = momentum b + g, at step 1 b = g;  g = b
//   p -= lr g
//
// p, gradient and b (N) float32; without momentum there is no b.
#ifndef PRECIS_OPS_SGD_H_
#define PRECIS_OPS_SGD_H_

#include "ops/op.h"

namespace precis {

void sgd_ref(const precis_sgd_args& a);
PRECIS_DECLARE_CPU_KERNEL(sgd_cpu, precis_sgd_args)

}  // namespace precis

#endif  // PRECIS_OPS_SGD_H_
