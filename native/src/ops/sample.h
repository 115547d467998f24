// One token a row, drawn from logits (M, V) float32 or, greedy, the largest; see precis_sample.
#ifndef PRECIS_OPS_SAMPLE_H_
#define PRECIS_OPS_SAMPLE_H_

#include "ops/op.h"

namespace precis {

PRECIS_DECLARE_CPU_KERNEL(sample_cpu, precis_sample_args)

}  // namespace precis

#endif  // PRECIS_OPS_SAMPLE_H_
