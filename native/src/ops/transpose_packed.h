// Packs W' (K, N) from packed W (N, K), float32 or bfloat16. The result is bitwise identical to
// packing W transposed. From int8 and int4, on the CPU, it is packed as bfloat16: the weights that
// they represent, rounded. The layout is that of ops/matmul.h.
#ifndef PRECIS_OPS_TRANSPOSE_PACKED_H_
#define PRECIS_OPS_TRANSPOSE_PACKED_H_

#include "ops/op.h"

namespace precis {

void transpose_packed_ref(const precis_transpose_packed_args& a);
PRECIS_DECLARE_CPU_KERNEL(transpose_packed_cpu, precis_transpose_packed_args)

}  // namespace precis

#endif  // PRECIS_OPS_TRANSPOSE_PACKED_H_
