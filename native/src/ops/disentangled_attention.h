// Attention within whole sequences, packed without padding, with relative positions as vectors (He
// et al. 2021, "DeBERTa: Decoding-enhanced BERT with Disentangled Attention").
//
//   score[i, j, h] = scale (q[i, h] . k[j, h] + q[i, h] . position_keys[r, h]
//                           + k[j, h] . position_queries[r, h])
//   out[i, h] = sum_j softmax_j(score[i, j, h]) v[j, h],    r = min(max(i - j, -reach), reach) + reach
//
// i and j count from the start of the sequence. q, k, v, out (N, heads x head_dim), position_keys
// and position_queries (2 reach + 1, heads x head_dim), each optional: its term is 0 without it.
#ifndef PRECIS_OPS_DISENTANGLED_ATTENTION_H_
#define PRECIS_OPS_DISENTANGLED_ATTENTION_H_

#include "ops/op.h"
#include "random/portable_math.h"

namespace precis {

void disentangled_attention_ref(const precis_disentangled_attention_args& a);
PRECIS_DECLARE_CPU_KERNEL(disentangled_attention_cpu, precis_disentangled_attention_args)

// The row of a table of relative positions for a query's position - a key's.
PRECIS_HOST_DEVICE static inline int64_t relative_row(int64_t distance, int64_t reach) {
  return (distance < -reach ? -reach : distance > reach ? reach : distance) + reach;
}

}  // namespace precis

#endif  // PRECIS_OPS_DISENTANGLED_ATTENTION_H_
