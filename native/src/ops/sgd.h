// Step number `step` of stochastic gradient descent with momentum:
//
//   g = gradient_scale gradient + weight_decay p
//   b = g                                          step 1, with momentum
//   b = momentum b + g                             later steps, with momentum
//   g = b                                          with momentum
//   p -= lr g
//
// p, gradient and b (N) float32. b is absent without momentum.
#ifndef PRECIS_OPS_SGD_H_
#define PRECIS_OPS_SGD_H_

#include "ops/op.h"

namespace precis {

void sgd_ref(const precis_sgd_args& a);
PRECIS_DECLARE_CPU_KERNEL(sgd_cpu, precis_sgd_args)

}  // namespace precis

#endif  // PRECIS_OPS_SGD_H_
