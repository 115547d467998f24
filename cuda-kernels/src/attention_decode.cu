// out[r, h] = sum_p softmax_p(scale q[r, h] . k[at(r, p), h] + bias[bucket(p - last), h])
//             v[at(r, p), h],   p = 0..last                       native/src/ops/attention_decode.h
//
// One block per row and head, or a cluster where there are many keys and few rows; eight lanes to a
// key, so that 64 elements of a head are 16 bytes a lane in bfloat16. In a span of keys, each of the
// 32 groups of eight lanes goes through every 32nd key with a running maximum and sum (Milakov &
// Gimelshein 2018); at its end the groups are combined in order. Keys and values are read once. The
// number of loads in flight decides the speed: a group has those of four keys, all of which are
// loaded before the first is converted. The host chooses the kernel for aligned rows, because a test
// of every address would wait for one load before the next.
//
// The new key and value of a row are appended to the cache by the block that reads them. A row must not
// read what another row appends in the same call. A row that would read or write outside the cache
// is noted as a problem, and its results are not written.
#include "attention_decode.cuh"
#include "ops/attention_decode.h"

namespace precis {
namespace {

// The most frequent kernel has registers for three blocks on a multiprocessor.
template <class T, int kChunks, bool kAligned>
constexpr int kMinDecodeBlocks = sizeof(T) == 2 && kChunks == 1 && kAligned ? 3 : 1;

template <class T, int kChunks, bool kAligned>
__global__ void __launch_bounds__(kDecodeThreads, (kMinDecodeBlocks<T, kChunks, kAligned>))
    attention_decode_kernel(DecodeArguments a, Matrix<T> k_cache, Matrix<T> v_cache) {
  wait_for_previous_kernel();
  const int64_t r = static_cast<int64_t>(blockIdx.x) / cluster_blocks();
  const int head = static_cast<int>(blockIdx.y);
  attend<T, kChunks, kAligned>(
      a, k_cache, v_cache, r, head,
      [&](int d, int count, float(&v)[kEight]) { a.q.load(r, head * a.head_dim + d, count, v); });
}

template <int kChunks>
cudaError_t run(CudaContext& context, const precis_attention_decode_args& a,
                const DecodeArguments& args) {
  return with_type(a.k_cache.dtype, [&](auto* type) {
    using T = PRECIS_TYPE_OF(type);
    const auto kernel = decode_is_aligned(a) ? attention_decode_kernel<T, kChunks, true>
                                             : attention_decode_kernel<T, kChunks, false>;
    const uint32_t blocks = decode_blocks(context, a, kernel);
    const dim3 grid(blocks * static_cast<uint32_t>(rows(a.q)), static_cast<uint32_t>(a.heads));
    return launch_dependent_clusters(context, blocks, "attention_decode", kernel, grid,
                                     kDecodeThreads, 0, args, matrix<T>(a.k_cache),
                                     matrix<T>(a.v_cache));
  });
}

}  // namespace

cudaError_t attention_decode_cuda(CudaContext& context, const precis_attention_decode_args& a) {
  if (rows(a.q) == 0) return cudaSuccess;
  const DecodeArguments args = decode_arguments(context, a);
  if (args.head_dim <= 64) return run<1>(context, a, args);
  if (args.head_dim <= 128) return run<2>(context, a, args);
  if (args.head_dim <= kMaxHeadDim) return run<4>(context, a, args);
  return cudaErrorInvalidValue;
}

}  // namespace precis
