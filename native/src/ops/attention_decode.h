// Attention of one new query a row over a cache of keys and values.
//
//   out[r, h] = sum_p softmax_p(scale q[r, h] . k[at(r, p), h] + bias[bucket(p - last), h])
//               v[at(r, p), h],     p = 0..last,  last = lengths[r] - 1
//
// at(r, p) = ancestors ? ancestors[r, p] * slot_rows + p : key_starts[r] + p.
// k_new and v_new, where given, are stored at at(r, last) of all rows before anything is read.
// q, out, k_new, v_new (M, heads x head_dim), k_cache, v_cache (C, heads x head_dim),
// bias (buckets, heads), unidirectional, or none.
#ifndef PRECIS_OPS_ATTENTION_DECODE_H_
#define PRECIS_OPS_ATTENTION_DECODE_H_

#include "ops/op.h"

namespace precis {

void attention_decode_ref(const precis_attention_decode_args& a);
PRECIS_DECLARE_CPU_KERNEL(attention_decode_cpu, precis_attention_decode_args)

// The cache row of row r's key at position p.
static inline int64_t cache_row(const precis_attention_decode_args& a, int64_t r, int64_t p) {
  return a.ancestors != nullptr ? a.ancestors[r * a.ancestor_stride + p] * a.slot_rows + p
                                : a.key_starts[r] + p;
}

}  // namespace precis

#endif  // PRECIS_OPS_ATTENTION_DECODE_H_
