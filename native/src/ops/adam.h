// Step number `step` of Adam (Kingma & Ba 2015) or AdamW (Loshchilov & Hutter 2019):
//
//   g = gradient_scale gradient
//   decoupled: p -= lr weight_decay p;  else g += weight_decay p
//   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
//   p -= lr / (1 - beta1^step) m / (sqrt(v / (1 - beta2^step)) + epsilon)
//
// p, gradient, m and v (N) float32. One pass reads 16 bytes and writes 12 for each parameter.
#ifndef PRECIS_OPS_ADAM_H_
#define PRECIS_OPS_ADAM_H_

#include "ops/op.h"

namespace precis {

void adam_ref(const precis_adam_args& a);
PRECIS_DECLARE_CPU_KERNEL(adam_cpu, precis_adam_args)

}  // namespace precis

#endif  // PRECIS_OPS_ADAM_H_
