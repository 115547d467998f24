// y[t, :] or y[y_rows[t], :] = table[ids[t], :]                          native/src/ops/embedding.h
//
// There is one warp per token; it copies 256 elements at a time. For an id outside the table it
// writes zeros and notes a problem, because the host does not see ids before they are used; for a
// row outside y it notes the problem and writes nothing.
#include <type_traits>

#include "kernels.h"
#include "ops/embedding.h"

namespace precis {
namespace {

constexpr int kWarps = 4;

template <class T>
__global__ void __launch_bounds__(kWarps * 32)
    embedding_kernel(Matrix<const T> table, int64_t vocabulary, const int32_t* ids, int64_t tokens,
                     AnyMatrix y, const int32_t* y_rows, int64_t rows, int width,
                     unsigned long long* problem) {
  wait_for_previous_kernel();
  const int lane = thread() % 32;
  for (int64_t t = int64_t{blockIdx.x} * kWarps + thread() / 32; t < tokens;
       t += int64_t{gridDim.x} * kWarps) {
    const int32_t id = ids[t];
    const int64_t to = y_rows == nullptr ? t : y_rows[t];
    const bool known = id >= 0 && id < vocabulary, inside = to >= 0 && to < rows;
    if (!(known && inside) && lane == 0)
      note_problem(problem, ProblemOp::kEmbedding, t, ProblemKind::kId);
    if (!inside) continue;
    const T* from = table.row(known ? id : 0);
    for_eights<4>(
        lane * kEight, width, 32 * kEight,
        [&](int d, int count) {
          RawEight<T> held;
          held.load(from + d, known ? count : 0);
          return held;
        },
        [&](int d, int count, const RawEight<T>& held) {
          float v[kEight];
          held.convert(v);
          y.save(to, d, count, v);
        });
  }
}

}  // namespace

cudaError_t embedding_cuda(CudaContext& context, const precis_embedding_args& a) {
  const int64_t tokens = a.ids.dims[0];
  if (tokens == 0) return cudaSuccess;
  return with_type(a.table.dtype, [&](auto* type) {
    using T = PRECIS_TYPE_OF(type);
    return launch_dependent(context, "embedding", embedding_kernel<T>,
                            grid_size(ceil_div(tokens, kWarps), 1 << 20), kWarps * 32, 0,
                            matrix<const T>(a.table), a.table.dims[0],
                            static_cast<const int32_t*>(a.ids.data), tokens, any_matrix(a.y),
                            static_cast<const int32_t*>(a.y_rows.data), a.y.dims[0],
                            static_cast<int>(columns(a.y)), context.problem);
  });
}

}  // namespace precis
