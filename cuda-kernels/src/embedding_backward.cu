// dtable[ids[t], :] += dy[t, :], tokens in order                native/src/ops/embedding_backward.h
//
// There is one block for each token and 128 columns. Only the block of the first token with an id
// works: it goes through the later tokens, 128 ids at a time. So each element of dtable has one
// thread, which adds in order, without atomics and without sorting. Comparing all pairs of T tokens
// takes T^2 / 2 reads of ids from L1, 34 million for 8192.
#include "kernels.h"
#include "ops/embedding_backward.h"

namespace precis {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads)
    embedding_backward_kernel(const int32_t* ids, int64_t tokens, AnyMatrix dy,
                              Matrix<float> dtable, int64_t vocabulary, int width,
                              unsigned long long* problem) {
  PRECIS_SHARED(uint32_t, found, kThreads / 32);
  const int64_t mine = blockIdx.x;
  const int d = static_cast<int>(blockIdx.y) * kThreads + thread();
  const int32_t id = ids[mine];
  if (id < 0 || id >= vocabulary) {
    if (thread() == 0 && blockIdx.y == 0) {
      note_problem(problem, ProblemOp::kEmbeddingBackward, mine, ProblemKind::kId);
    }
    return;
  }
  int earlier = 0;
  for (int64_t t = thread(); t < mine; t += kThreads) earlier |= ids[t] == id;
  if (block_reduce(earlier, Sum()) > 0) return;
  float sum = d < width ? dtable.row(id)[d] : 0.0f;
  for (int64_t first = mine; first < tokens; first += kThreads) {
    const int64_t t = first + thread();
    const uint32_t votes = __ballot_sync(kAllLanes, t < tokens && ids[t] == id);
    if (thread() % 32 == 0) found[thread() / 32] = votes;
    __syncthreads();
    for (int w = 0; w < kThreads / 32; w++) {
      for (uint32_t left = found[w]; left != 0; left &= left - 1) {
        if (d < width) sum += dy.get(first + w * 32 + __popc((left & (0u - left)) - 1), d);
      }
    }
    __syncthreads();
  }
  if (d < width) dtable.row(id)[d] = sum;
}

}  // namespace

cudaError_t embedding_backward_cuda(CudaContext& context, const precis_embedding_backward_args& a) {
  const int64_t tokens = a.ids.dims[0], width = columns(a.dy);
  if (tokens == 0) return cudaSuccess;
  return launch(
      "embedding_backward", embedding_backward_kernel,
      dim3(static_cast<uint32_t>(tokens), static_cast<uint32_t>(ceil_div(width, kThreads))),
      kThreads, 0, context.stream, static_cast<const int32_t*>(a.ids.data), tokens,
      any_matrix(a.dy), matrix<float>(a.dtable), a.dtable.dims[0], static_cast<int>(width),
      context.problem);
}

}  // namespace precis
