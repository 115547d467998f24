// ds[i, j] = p[i, j] (z[i, j] dout[i] . v[j] - dout[i] . out[i]),  p = exp(score - log_sum_exp)
// dq = scale ds k,  dk = scale ds' q,  dv = (z p)' dout,  dbias[bucket] += its sum of ds
//                                                               native/src/ops/attention_backward.h
//
// There are two kernels, which both recompute the scores (Dao et al. 2022): one whose blocks own 64
// queries and loop over the keys, for dq, dbias and dout . out, which it leaves in scratch memory;
// and one whose blocks own 64 keys and loop over the queries, for dk and dv. So every result is
// summed by one thread in one order. That is seven products of tiles instead of the five of a
// single pass. But the single pass needs dq summed over blocks, 4 bytes a query, column and tile of
// keys: at 8 sequences of 256 that is 25 MB written and read again, which takes longer than the two
// products; and the host, which does not know the lengths, could not compute the scratch size.
//
// bfloat16 (attention_backward_mma.cu): a warp has 16 of the block's rows; scores and dout v' stay
// in registers, become p and ds there and, rounded, are the left operands of the next products.
// dout is rounded too if it is float32, also for dout . out, because the difference of both is what
// matters. The next tile is copied while this one is computed. The rows of a warp of keys are those
// whose dropout is decided by the same calls of Philox.
//
// float32: attention_backward_float.cu.
//
// dbias: a warp sums ds along the diagonals of its tile, and each lane adds its diagonals' sums to
// its own column of a table of buckets in shared memory. Columns, then blocks, are added in order.
//
// Not tried yet: wgmma and TMA on sm_90a.
#include "attention_backward.cuh"
#include "ops/attention_backward.h"

namespace precis {
namespace {

// Adds the sums of all blocks.
constexpr int kSumThreads = 128;

__global__ void __launch_bounds__(kSumThreads)
    bias_sums_kernel(const float* sums, int64_t blocks, int heads, Matrix<float> dbias) {
  const int64_t bucket = blockIdx.x, head = blockIdx.y;
  const float* from = sums + (bucket * heads + head) * blocks;
  float sum = 0;
  for (int64_t i = thread(); i < blocks; i += kSumThreads) sum += from[i];
  sum = block_reduce(sum, Sum());
  if (thread() == 0) dbias.row(bucket)[head] += sum;
}

}  // namespace

cudaError_t attention_backward_cuda(CudaContext& context, const precis_attention_backward_args& b) {
  const precis_attention_args& a = b.forward;
  const int64_t queries = rows(a.q), keys = rows(a.k);
  if (a.sequences == 0) return cudaSuccess;
  const bool bf16 = a.q.dtype == PRECIS_BFLOAT16, with_dbias = b.dbias.data != nullptr;
  const int64_t blocks = bf16 ? sequence_tiles<kTile>(queries, a.sequences)
                              : sequence_tiles<kSmallTile>(queries, a.sequences);
  const int64_t buckets = with_dbias && queries > 0 ? b.dbias.dims[0] : 0;
  void* memory = nullptr;
  PRECIS_RETURN_IF_ERROR(context.scratch.reserve(
      static_cast<size_t>(queries + buckets * blocks) * a.heads * sizeof(float), &memory));
  float* const means = static_cast<float*>(memory);
  float* const bias_sums = buckets > 0 ? means + queries * a.heads : nullptr;
  const AttentionBackwardArguments args = {attention_arguments(a),
                                           any_matrix(b.dout),
                                           any_matrix(b.dq),
                                           any_matrix(b.dk),
                                           any_matrix(b.dv),
                                           means,
                                           bias_sums,
                                           queries};
  PRECIS_RETURN_IF_ERROR(bf16 ? attention_backward_mma(context, args, keys)
                              : attention_backward_float(context, args, keys));
  if (bias_sums == nullptr) return cudaSuccess;
  return launch("attention_backward, dbias", bias_sums_kernel,
                dim3(static_cast<uint32_t>(buckets), static_cast<uint32_t>(a.heads)), kSumThreads,
                0, context.stream, static_cast<const float*>(bias_sums), blocks,
                static_cast<int>(a.heads), matrix<float>(b.dbias));
}

}  // namespace precis
