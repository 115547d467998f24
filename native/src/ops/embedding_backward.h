// The gradient of embedding with respect to the table:  dtable[ids[t], :] += dy[t, :].
//
// ids (T) int32, dy (T, D) float32 or bfloat16, dtable (V, D) float32. Each thread owns some of the
// columns and adds the tokens in order, so results are deterministic for any number of threads.
// Every id is checked before anything is written.
#ifndef PRECIS_OPS_EMBEDDING_BACKWARD_H_
#define PRECIS_OPS_EMBEDDING_BACKWARD_H_

#include "ops/op.h"

namespace precis {

void embedding_backward_ref(const precis_embedding_backward_args& a);
PRECIS_DECLARE_CPU_KERNEL(embedding_backward_cpu, precis_embedding_backward_args)

}  // namespace precis

#endif  // PRECIS_OPS_EMBEDDING_BACKWARD_H_
