// attention_backward in float32: plain fused multiply-adds, 32 queries by 32 keys at a time. It is
// a reference mode and not tuned for speed.
#include "attention_backward.cuh"

namespace precis {
namespace {

constexpr int kSquare = kSmallTile * (kSmallTile + 1);

template <int kDim>
__device__ __forceinline__ float dot(const Shared<float>& x, int r, const Shared<float>& y, int c) {
  float sum = 0;
#pragma unroll 8
  for (int d = 0; d < kDim; d++) {
    sum = fmaf(x[r * (kDim + 1) + d], y[c * (kDim + 1) + d], sum);
  }
  return sum;
}

// Returns 1 / (1 - dropout) for a kept probability and 0 for a dropped one; 1 without dropout.
__device__ __forceinline__ float kept_factor(const AttentionArguments& a, int64_t row, int head,
                                             int key) {
  if (a.drop_below == 0) return 1;
  const DropoutRow of = dropout_row(a, row);
  const uint64_t index = attention_dropout_index(of.row, a.heads, head, key);
  return dropout_keeps(a.seed, of.offset, index, a.drop_below) ? a.kept_scale : 0.0f;
}

template <int kDim>
__global__ void __launch_bounds__(kFloatThreads, 2)
    queries_float_kernel(AttentionBackwardArguments b) {
  constexpr int kStride = kDim + 1, kDiagonals = 2 * kSmallTile;
  const AttentionArguments& a = b.forward;
  DynamicShared dynamic;
  const Shared<float> qs = dynamic.take<float>(kSmallTile * kStride);
  const Shared<float> dos = dynamic.take<float>(kSmallTile * kStride);
  const Shared<float> ks = dynamic.take<float>(kSmallTile * kStride);
  const Shared<float> vs = dynamic.take<float>(kSmallTile * kStride);
  const Shared<float> ds = dynamic.take<float>(kSquare);
  const Shared<float> diagonals = dynamic.take<float>(kDiagonals);
  const Shared<int32_t> buckets = dynamic.take<int32_t>(kReach + 1);
  const int bucket_count = b.bucket_count();
  const Shared<float> sums = dynamic.take<float>(bucket_count * kDiagonals);
  const int head = static_cast<int>(blockIdx.y), column = head * a.head_dim;
  const Place p = find_place<kSmallTile, true>(a);
  if (p.first >= p.queries) return store_no_bias_sums(b, head);
  load_tile<kDim>(qs, a.q, p.q0, p.first, p.queries, column, a.head_dim);
  load_tile<kDim>(dos, b.dout, p.q0, p.first, p.queries, column, a.head_dim);
  fill_buckets(a.bias, kFloatThreads, buckets);
  for (int i = thread(); i < bucket_count * kDiagonals; i += kFloatThreads) sums[i] = 0;
  __syncthreads();
  const int mine = thread() / kRowThreads, part = thread() % kRowThreads, query = p.first + mine;
  const bool wanted = query < p.queries;
  float mean = 0;
  for (int d = part; wanted && d < a.head_dim; d += kRowThreads) {
    mean = fmaf(dos[mine * kStride + d], a.out.get(p.q0 + query, column + d), mean);
  }
#pragma unroll
  for (int d = 1; d < kRowThreads; d *= 2) mean += __shfl_xor_sync(kAllLanes, mean, d);
  if (wanted && part == 0) b.means[head * b.queries + p.q0 + query] = mean;
  const float log_sum_exp = wanted ? a.log_sum_exp.row(p.q0 + query)[head] : INFINITY;

  const int end = visible_keys(a, p, p.first + kSmallTile - 1);
  float dq[kDim / kRowThreads] = {};
  for (int first = 0; first < end; first += kSmallTile) {
    __syncthreads();
    load_tile<kDim>(ks, a.k, p.k0, first, p.keys, column, a.head_dim);
    load_tile<kDim>(vs, a.v, p.k0, first, p.keys, column, a.head_dim);
    fill_diagonals(a.bias, buckets, a.causal, head, first - p.first - (kSmallTile - 1),
                   kDiagonals - 1, kFloatThreads, diagonals);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kSmallTile / kRowThreads; i++) {
      const int j = part + i * kRowThreads;
      const float score =
          dot<kDim>(qs, mine, ks, j) * a.scale + diagonals[j - mine + kSmallTile - 1];
      const float probability = first + j < p.keys ? expf(score - log_sum_exp) : 0.0f;
      const float kept = kept_factor(a, p.q0 + query, head, first + j);
      ds[mine * (kSmallTile + 1) + j] = probability * (kept * dot<kDim>(dos, mine, vs, j) - mean);
    }
    __syncwarp();  // a query's threads are in one warp
#pragma unroll
    for (int i = 0; i < kDim / kRowThreads; i++) {
#pragma unroll 4
      for (int j = 0; j < kSmallTile; j++) {
        dq[i] =
            fmaf(ds[mine * (kSmallTile + 1) + j], ks[j * kStride + part + i * kRowThreads], dq[i]);
      }
    }
    if (bucket_count == 0) continue;
    __syncthreads();
    if (thread() >= kDiagonals - 1) continue;
    const int d = thread() - (kSmallTile - 1);
    float sum = 0;
    for (int r = 0; r < kSmallTile; r++) {
      if (r + d >= 0 && r + d < kSmallTile) sum += ds[r * (kSmallTile + 1) + r + d];
    }
    const int bucket = find_bucket(a.bias, buckets, first - p.first + d) - b.first_bucket();
    if (bucket >= 0 && bucket < bucket_count) sums[bucket * kDiagonals + thread()] += sum;
  }
  if (bucket_count > 0) {
    __syncthreads();
    store_bias_sums<kFloatThreads, kDiagonals>(b, sums, head);
  }
  if (!wanted || blockIdx.z > 0) return;
#pragma unroll
  for (int i = 0; i < kDim / kRowThreads; i++) {
    const int d = part + i * kRowThreads;
    if (d < a.head_dim) b.dq.set(p.q0 + query, column + d, dq[i] * a.scale);
  }
}

template <int kDim>
__global__ void __launch_bounds__(kFloatThreads, 2)
    keys_float_kernel(AttentionBackwardArguments b) {
  constexpr int kStride = kDim + 1, kDiagonals = 2 * kSmallTile;
  const AttentionArguments& a = b.forward;
  DynamicShared dynamic;
  const Shared<float> ks = dynamic.take<float>(kSmallTile * kStride);
  const Shared<float> vs = dynamic.take<float>(kSmallTile * kStride);
  const Shared<float> qs = dynamic.take<float>(kSmallTile * kStride);
  const Shared<float> dos = dynamic.take<float>(kSmallTile * kStride);
  const Shared<float> ps = dynamic.take<float>(kSquare);
  const Shared<float> ds = dynamic.take<float>(kSquare);
  const Shared<float> logs = dynamic.take<float>(kSmallTile);
  const Shared<float> means = dynamic.take<float>(kSmallTile);
  const Shared<float> diagonals = dynamic.take<float>(kDiagonals);
  const Shared<int32_t> buckets = dynamic.take<int32_t>(kReach + 1);
  const Place p = find_place<kSmallTile, false>(a);
  if (p.first >= p.keys) return;
  const int head = static_cast<int>(blockIdx.y), column = head * a.head_dim;
  load_tile<kDim>(ks, a.k, p.k0, p.first, p.keys, column, a.head_dim);
  load_tile<kDim>(vs, a.v, p.k0, p.first, p.keys, column, a.head_dim);
  fill_buckets(a.bias, kFloatThreads, buckets);
  const int mine = thread() / kRowThreads, part = thread() % kRowThreads, key = p.first + mine;
  float dk[kDim / kRowThreads] = {}, dv[kDim / kRowThreads] = {};
  for (int first = a.causal ? p.first : 0; first < p.queries; first += kSmallTile) {
    __syncthreads();
    load_tile<kDim>(qs, a.q, p.q0, first, p.queries, column, a.head_dim);
    load_tile<kDim>(dos, b.dout, p.q0, first, p.queries, column, a.head_dim);
    fill_diagonals(a.bias, buckets, a.causal, head, p.first - first - (kSmallTile - 1),
                   kDiagonals - 1, kFloatThreads, diagonals);
    if (thread() < kSmallTile) {
      const int query = first + thread();
      const bool inside = query < p.queries;
      logs[thread()] = inside ? a.log_sum_exp.row(p.q0 + query)[head] : INFINITY;
      means[thread()] = inside ? b.means[head * b.queries + p.q0 + query] : 0.0f;
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kSmallTile / kRowThreads; i++) {
      const int j = part + i * kRowThreads;
      const float score =
          dot<kDim>(ks, mine, qs, j) * a.scale + diagonals[mine - j + kSmallTile - 1];
      const float probability = expf(score - logs[j]);
      const float kept = kept_factor(a, p.q0 + first + j, head, key);
      ps[mine * (kSmallTile + 1) + j] = probability * kept;
      ds[mine * (kSmallTile + 1) + j] =
          probability * (kept * dot<kDim>(vs, mine, dos, j) - means[j]);
    }
    __syncwarp();  // a key's threads are in one warp
#pragma unroll
    for (int i = 0; i < kDim / kRowThreads; i++) {
      const int d = part + i * kRowThreads;
#pragma unroll 4
      for (int j = 0; j < kSmallTile; j++) {
        dk[i] = fmaf(ds[mine * (kSmallTile + 1) + j], qs[j * kStride + d], dk[i]);
        dv[i] = fmaf(ps[mine * (kSmallTile + 1) + j], dos[j * kStride + d], dv[i]);
      }
    }
  }
  if (key >= p.keys) return;
#pragma unroll
  for (int i = 0; i < kDim / kRowThreads; i++) {
    const int d = part + i * kRowThreads;
    if (d >= a.head_dim) continue;
    b.dk.set(p.k0 + key, column + d, dk[i] * a.scale);
    b.dv.set(p.k0 + key, column + d, dv[i]);
  }
}

template <int kDim>
cudaError_t run(CudaContext& context, const AttentionBackwardArguments& b, int64_t keys) {
  const AttentionArguments& a = b.forward;
  const uint32_t heads = static_cast<uint32_t>(a.heads);
  const size_t tiles = 4 * shared_bytes<float>(kSmallTile * (kDim + 1));
  const size_t diagonals = shared_bytes<float>(2 * kSmallTile);
  const size_t buckets = shared_bytes<int32_t>(kReach + 1);
  if (b.queries > 0) {
    const size_t bytes = tiles + shared_bytes<float>(kSquare) + diagonals + buckets +
                         shared_bytes<float>(block_buckets(b) * 2 * kSmallTile);
    PRECIS_RETURN_IF_ERROR(
        launch("attention_backward, queries, float32", queries_float_kernel<kDim>,
               dim3(sequence_tiles<kSmallTile>(b.queries, a.sequences), heads, bucket_groups(b)),
               kFloatThreads, bytes, context.stream, b));
  }
  if (keys == 0) return cudaSuccess;
  const size_t bytes = tiles + 2 * shared_bytes<float>(kSquare) +
                       2 * shared_bytes<float>(kSmallTile) + diagonals + buckets;
  return launch("attention_backward, keys, float32", keys_float_kernel<kDim>,
                dim3(sequence_tiles<kSmallTile>(keys, a.sequences), heads), kFloatThreads, bytes,
                context.stream, b);
}

}  // namespace

cudaError_t attention_backward_float(CudaContext& context, const AttentionBackwardArguments& b,
                                     int64_t keys) {
  return with_head_dim(b.forward.head_dim,
                       [&](auto dim) { return run<decltype(dim)::value>(context, b, keys); });
}

}  // namespace precis
