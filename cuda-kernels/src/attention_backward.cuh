// The arguments and the dbias sums that the kernels of attention_backward have in common.
#ifndef PRECIS_CUDA_ATTENTION_BACKWARD_CUH_
#define PRECIS_CUDA_ATTENTION_BACKWARD_CUH_

#include "attention_tiles.cuh"
#include "kernels.h"

namespace precis {

// The buckets of dbias that a block sums; blockIdx.z selects them.
constexpr int kBuckets = 32;

struct AttentionBackwardArguments {
  AttentionArguments forward;
  AnyMatrix dout, dq, dk, dv;
  float* means;      // (heads, queries): dout . out
  float* bias_sums;  // (buckets, heads, blocks); nullptr without dbias
  int64_t queries;

  __device__ __forceinline__ float* bias_sum(int bucket, int head) const {
    return bias_sums + (int64_t{bucket} * forward.heads + head) * gridDim.x + blockIdx.x;
  }
  // The block's range of buckets.
  __device__ __forceinline__ int first_bucket() const {
    return static_cast<int>(blockIdx.z) * kBuckets;
  }
  __device__ __forceinline__ int bucket_count() const {
    return bias_sums == nullptr ? 0 : min(forward.bias.buckets - first_bucket(), kBuckets);
  }
};

// Adds the columns of the table of buckets, in order, and stores the sums in scratch memory.
template <int kBlock, int kColumns>
__device__ __forceinline__ void store_bias_sums(const AttentionBackwardArguments& b,
                                                const Shared<float>& sums, int head) {
  const int count = b.bucket_count();
  for (int bucket = thread() / 32; bucket < count; bucket += kBlock / 32) {
    float sum = 0;
    for (int c = thread() % 32; c < kColumns; c += 32) sum += sums[bucket * kColumns + c];
    sum = warp_reduce(sum, Sum());
    if (thread() % 32 == 0) *b.bias_sum(b.first_bucket() + bucket, head) = sum;
  }
}
__device__ __forceinline__ void store_no_bias_sums(const AttentionBackwardArguments& b, int head) {
  if (thread() < b.bucket_count()) *b.bias_sum(b.first_bucket() + thread(), head) = 0;
}

// Each launches its kernel for the queries, which computes dq, means and the sums of dbias, and
// then its kernel for the keys, which computes dk and dv.
cudaError_t attention_backward_mma(CudaContext& context, const AttentionBackwardArguments& b,
                                   int64_t keys);
cudaError_t attention_backward_float(CudaContext& context, const AttentionBackwardArguments& b,
                                     int64_t keys);

// Calls f with the width that the kernels are instantiated for, as std::integral_constant.
template <class F>
static inline cudaError_t with_head_dim(int32_t head_dim, const F& f) {
  if (head_dim <= 64) return f(std::integral_constant<int, 64>());
  if (head_dim <= 128) return f(std::integral_constant<int, 128>());
  if (head_dim <= kMaxHeadDim) return f(std::integral_constant<int, kMaxHeadDim>());
  return cudaErrorInvalidValue;
}

// The grid's z: groups of buckets, of which blocks have one each.
static inline uint32_t bucket_groups(const AttentionBackwardArguments& b) {
  const int buckets = b.bias_sums == nullptr ? 0 : b.forward.bias.buckets;
  return buckets == 0 ? 1 : static_cast<uint32_t>(ceil_div(buckets, kBuckets));
}
// The most buckets of a block.
static inline int64_t block_buckets(const AttentionBackwardArguments& b) {
  return b.bias_sums == nullptr ? 0 : min(b.forward.bias.buckets, kBuckets);
}

}  // namespace precis

#endif  // PRECIS_CUDA_ATTENTION_BACKWARD_CUH_
