// Rows of a table:  y[t, :] = table[ids[t], :], or y[y_rows[t], :] = table[ids[t], :].
//
// table (V, D), y (T, D) or (R, D) float32 or bfloat16 each; ids, y_rows (T) int32. Every id and row
// is checked before anything is written.
#ifndef PRECIS_OPS_EMBEDDING_H_
#define PRECIS_OPS_EMBEDDING_H_

#include "ops/op.h"

namespace precis {

void embedding_ref(const precis_embedding_args& a);
PRECIS_DECLARE_CPU_KERNEL(embedding_cpu, precis_embedding_args)

}  // namespace precis

#endif  // PRECIS_OPS_EMBEDDING_H_
