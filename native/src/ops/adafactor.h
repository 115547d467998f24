// Step number `step` of Adafactor (Shazeer & Stern 2018), without a first moment:
//
//   g = gradient_scale gradient
//   b = 1 - step^decay_rate
//   matrix:  row[n] = b row[n] + (1 - b) mean_k(g[n, k]^2 + epsilon1)
//            column[k] = b column[k] + (1 - b) mean_n(g[n, k]^2 + epsilon1)
//            u[n, k] = g[n, k] / sqrt(row[n] column[k] / mean(row))
//   vector:  row[n] = b row[n] + (1 - b) (g[n]^2 + epsilon1)
//            u[n] = g[n] / sqrt(row[n])
//   u /= max(1, rms(u) / clip_threshold)
//   lr *= scale_parameter ? max(epsilon2, rms(p)) : 1
//   p -= lr weight_decay p
//   p -= lr u
//
// p, gradient (N, K) or (N), row (N), column (K) float32. u is computed twice, which is cheaper
// than storing it: three passes over a matrix, two over a vector.
#ifndef PRECIS_OPS_ADAFACTOR_H_
#define PRECIS_OPS_ADAFACTOR_H_

#include "ops/op.h"

namespace precis {

void adafactor_ref(const precis_adafactor_args& a);
PRECIS_DECLARE_CPU_KERNEL(adafactor_cpu, precis_adafactor_args)

}  // namespace precis

#endif  // PRECIS_OPS_ADAFACTOR_H_
