// Attention over whole sequences, packed without padding, with T5's relative position bias.
//
//   out[i, h] = sum_j softmax_j(scale q[i, h] . k[j, h] + bias[bucket(j - i), h]) v[j, h]
//
// j runs over the keys of the query's own sequence, with causal over its first i + 1. i and j count
// from the start of the sequence; the bucket is that of relative_position.h.
// With dropout, z = 0 or 1 / (1 - dropout) multiplies each softmax_j (dropout_mask.h).
// log_sum_exp[i, h] is the logarithm of softmax's denominator: of sum_j exp(score).
// q, out (queries, heads x head_dim), k, v (keys, heads x head_dim), bias (buckets, heads) or none.
#ifndef PRECIS_OPS_ATTENTION_H_
#define PRECIS_OPS_ATTENTION_H_

#include "ops/op.h"

namespace precis {

void attention_ref(const precis_attention_args& a);
PRECIS_DECLARE_CPU_KERNEL(attention_cpu, precis_attention_args)

}  // namespace precis

#endif  // PRECIS_OPS_ATTENTION_H_
