// attention_backward on the tensor cores of sm_80 and later, for bfloat16; attention_backward.cu
// describes both kernels.
#include "attention_backward.cuh"

namespace precis {
namespace {

// The length of a row of sums over rows eight apart, with a margin of zeros on either side.
template <int kDim>
constexpr int kSkewed = kKeys<kDim> + 24;

// Adds ds of the warp's 16 rows by diagonal. relative is the relative position of the upper left
// corner. In rows eight apart the same diagonal is eight columns apart, so those are added first,
// in registers. There must be a barrier between two calls.
template <int kDim>
__device__ __forceinline__ void add_diagonals(const AttentionBackwardArguments& b,
                                              const Shared<int32_t>& buckets, int relative,
                                              const float (&ds)[kKeys<kDim> / 8][4],
                                              const Shared<float>& skewed,
                                              const Shared<float>& sums) {
  constexpr int kN = kKeys<kDim>, kStride = kSkewed<kDim>;
  const int lane = thread() % 32, count = b.bucket_count();
#pragma unroll
  for (int m = -1; m < kN / 8; m++) {
#pragma unroll
    for (int e = 0; e < 2; e++) {
      const float upper = m >= 0 ? ds[m < 0 ? 0 : m][e] : 0.0f;
      const float lower = m + 1 < kN / 8 ? ds[m + 1 < kN / 8 ? m + 1 : 0][2 + e] : 0.0f;
      skewed[lane / 4 * kStride + 16 + m * 8 + lane % 4 * 2 + e] = upper + lower;
    }
  }
  __syncwarp();
#pragma unroll
  for (int first = -15; first < kN; first += 32) {
    const int d = first + lane;
    if (d >= kN) continue;
    float sum = 0;
#pragma unroll
    for (int g = 0; g < 8; g++) sum += skewed[g * kStride + 16 + d + g];
    const int bucket = find_bucket(b.forward.bias, buckets, relative + d) - b.first_bucket();
    if (bucket >= 0 && bucket < count) sums[bucket * kThreads + thread()] += sum;
  }
}

template <int kDim>
__global__ void __launch_bounds__(kThreads) queries_kernel(AttentionBackwardArguments b) {
  constexpr int kN = kKeys<kDim>, kStride = kTileStride<kDim>, kSize = kN * kStride;
  constexpr int kDiagonals = kTile + kN;
  const AttentionArguments& a = b.forward;
  DynamicShared dynamic;
  const Shared<Bf16> qs = dynamic.take<Bf16>(kTile * kStride);
  const Shared<Bf16> dos = dynamic.take<Bf16>(kTile * kStride);
  const Shared<Bf16> ks = dynamic.take<Bf16>(2 * kSize);
  const Shared<Bf16> vs = dynamic.take<Bf16>(2 * kSize);
  const Shared<float> means = dynamic.take<float>(kTile);
  const Shared<float> diagonals = dynamic.take<float>(2 * kDiagonals);
  const Shared<int32_t> buckets = dynamic.take<int32_t>(kReach + 1);
  const int bucket_count = b.bucket_count();
  const Shared<float> skewed =
      dynamic.take<float>(bucket_count > 0 ? kThreads / 4 * kSkewed<kDim> : 0);
  const Shared<float> sums = dynamic.take<float>(bucket_count * kThreads);
  const int head = static_cast<int>(blockIdx.y), column = head * a.head_dim;
  const Place p = find_place<kTile, true>(a);
  if (p.first >= p.queries) return store_no_bias_sums(b, head);
  const int lane = thread() % 32, quad = lane % 4, warp = thread() / 32;
  const int mine = warp * 16 + lane / 4;
  auto copy = [&](int first, int stage) {
    copy_tiles<kDim, kN>(ks.part(stage * kSize, kSize), a.k, vs.part(stage * kSize, kSize), a.v,
                         p.k0, first, p.keys, column, a.head_dim);
  };
  auto fill = [&](int first, int stage) {
    fill_diagonals(a.bias, buckets, a.causal, head, first - p.first - (kTile - 1), kDiagonals - 1,
                   kThreads, diagonals.part(stage * kDiagonals, kDiagonals));
  };

  copy_tiles<kDim, kTile>(dos, b.dout, qs, a.q, p.q0, p.first, p.queries, column, a.head_dim);
  copy(0, 0);
  fill_buckets(a.bias, kThreads, buckets);
  for (int bucket = 0; bucket < bucket_count; bucket++) sums[bucket * kThreads + thread()] = 0;
  if (bucket_count > 0) {
    for (int i = lane; i < 8 * kSkewed<kDim>; i += 32) skewed[warp * 8 * kSkewed<kDim> + i] = 0;
  }
  copy_async_wait<1>();
  __syncthreads();  // dout has arrived, and the buckets are filled in
  fill(0, 0);
  // dout . out, eight lanes to a row.
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int r = warp * 16 + i * 4 + lane / 8, query = p.first + r;
    float mean = 0;
    for (int d = lane % 8 * kEight; d < a.head_dim; d += 8 * kEight) {
      float x[kEight], y[kEight];
      a.out.load(p.q0 + query, column + d, up_to_eight(query < p.queries ? a.head_dim - d : 0), x);
      load8(dos.at(r * kStride + d, kEight), kEight, y);
#pragma unroll
      for (int j = 0; j < kEight; j++) mean = fmaf(x[j], y[j], mean);
    }
#pragma unroll
    for (int d = 1; d < 8; d *= 2) mean += __shfl_xor_sync(kAllLanes, mean, d);
    if (lane % 8 == 0) {
      means[r] = mean;
      if (query < p.queries) b.means[head * b.queries + p.q0 + query] = mean;
    }
  }
  __syncwarp();
  float log_sum_exp[2], mean[2];
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const int query = p.first + mine + 8 * h;
    log_sum_exp[h] = query < p.queries ? a.log_sum_exp.row(p.q0 + query)[head] : INFINITY;
    mean[h] = means[mine + 8 * h];
  }

  const int end = visible_keys(a, p, p.first + kTile - 1);
  float dq[kDim / 8][4] = {};
  for (int first = 0, stage = 0; first < end; first += kN, stage ^= 1) {
    copy_async_wait<0>();
    __syncthreads();  // this tile has arrived, and no thread reads the last one any more
    if (first + kN < end) {
      copy(first + kN, stage ^ 1);
      fill(first + kN, stage ^ 1);
    }
    float ds[kN / 8][4] = {}, dp[kN / 8][4] = {};
    multiply_transposed<kDim, kN>(qs, ks.part(stage * kSize, kSize), ds);
    multiply_transposed<kDim, kN>(dos, vs.part(stage * kSize, kSize), dp);
    const bool cut = first + kN > p.keys;
    const int diagonal = stage * kDiagonals + kTile - 1 - mine + quad * 2;
#pragma unroll
    for (int h = 0; h < 2; h++) {
      if (a.drop_below > 0) {
        for_dropout_words<kN>(a, p.q0 + p.first + mine + 8 * h, head, first,
                              [&](int j, int e, uint32_t word) {
                                float& x = dp[j][2 * h + e];
                                x = word >= a.drop_below ? x * a.kept_scale : 0.0f;
                              });
      }
#pragma unroll
      for (int j = 0; j < kN / 8; j++) {
#pragma unroll
        for (int e = 0; e < 2; e++) {
          float& s = ds[j][2 * h + e];
          const float score = fmaf(s, a.scale, diagonals[diagonal + j * 8 + e - 8 * h]);
          s = __expf(score - log_sum_exp[h]) * (dp[j][2 * h + e] - mean[h]);
          if (cut && first + j * 8 + quad * 2 + e >= p.keys) s = 0;
        }
      }
    }
    if (bucket_count > 0) {
      add_diagonals<kDim>(b, buckets, first - p.first - warp * 16, ds,
                          skewed.part(warp * 8 * kSkewed<kDim>, 8 * kSkewed<kDim>), sums);
    }
    uint32_t packed[kN / 16][4];
    pack<kN>(ds, packed);
    multiply<kDim, kN, kDim>(packed, ks.part(stage * kSize, kSize), 0, dq);
  }
  copy_async_wait<0>();  // without keys, the first copy is still pending
  if (bucket_count > 0) {
    __syncthreads();
    store_bias_sums<kThreads, kThreads>(b, sums, head);
  }
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const int query = p.first + mine + 8 * h;
    save_rows<kDim>(b.dq, query < p.queries && blockIdx.z == 0, p.q0 + query, column, a.head_dim,
                    a.scale, h, dq);
  }
}

// Queries of a tile. With 64, heads of width 64 take 218 registers; with 32 they take 159, so three
// blocks fit into a multiprocessor.
constexpr int kQueries = 32;
// Columns of dk and dv that a block computes; blockIdx.z selects them.
template <int kDim>
constexpr int kColumns = kDim > 128 ? 128 : kDim;

// The order of the block's keys in its tiles. Keys that are 16 apart share a call of Philox. Of
// each warp's 16 rows a lane has two and the lane 16 further on has two others, and these four are
// the keys i, i + 16, i + 32, i + 48 of the block.
struct Spread {
  __device__ __forceinline__ int operator()(int slot) const {
    return slot % 16 / 4 * 16 + slot / 16 * 4 + slot % 4;
  }
};

template <int kDim>
__global__ void __launch_bounds__(kThreads) keys_kernel(AttentionBackwardArguments b) {
  constexpr int kN = kQueries, kStride = kTileStride<kDim>, kSize = kN * kStride;
  constexpr int kDiagonals = kTile + kN, kWide = kColumns<kDim>;
  const AttentionArguments& a = b.forward;
  DynamicShared dynamic;
  const Shared<Bf16> ks = dynamic.take<Bf16>(kTile * kStride);
  const Shared<Bf16> vs = dynamic.take<Bf16>(kTile * kStride);
  const Shared<Bf16> qs = dynamic.take<Bf16>(2 * kSize);
  const Shared<Bf16> dos = dynamic.take<Bf16>(2 * kSize);
  const Shared<float> logs = dynamic.take<float>(2 * kN);
  const Shared<float> means = dynamic.take<float>(2 * kN);
  const Shared<float> diagonals = dynamic.take<float>(2 * kDiagonals);
  const Shared<int32_t> buckets = dynamic.take<int32_t>(kReach + 1);
  const Place p = find_place<kTile, false>(a);
  if (p.first >= p.keys) return;
  const int head = static_cast<int>(blockIdx.y), column = head * a.head_dim;
  const int part = static_cast<int>(blockIdx.z) * kWide;
  const int lane = thread() % 32, quad = lane % 4, upper = lane / 16;
  const int mine = Spread()(thread() / 32 * 16 + lane / 4);  // the lane has key mine + 32 too
  auto copy = [&](int first, int stage) {
    copy_tiles<kDim, kN>(qs.part(stage * kSize, kSize), a.q, dos.part(stage * kSize, kSize), b.dout,
                         p.q0, first, p.queries, column, a.head_dim);
  };
  auto fill = [&](int first, int stage) {
    fill_diagonals(a.bias, buckets, a.causal, head, p.first - first - (kN - 1), kDiagonals - 1,
                   kThreads, diagonals.part(stage * kDiagonals, kDiagonals));
    if (thread() < kN) {
      const int query = first + thread();
      const bool inside = query < p.queries;
      logs[stage * kN + thread()] = inside ? a.log_sum_exp.row(p.q0 + query)[head] : INFINITY;
      means[stage * kN + thread()] = inside ? b.means[head * b.queries + p.q0 + query] : 0.0f;
    }
  };

  // With a causal mask, queries before the first key do not attend to any of them.
  const int begin = a.causal ? p.first : 0;
  copy_tile<kDim, kTile>(ks, a.k, p.k0, p.first, p.keys, column, a.head_dim, Spread());
  copy_tile<kDim, kTile>(vs, a.v, p.k0, p.first, p.keys, column, a.head_dim, Spread());
  copy(begin, 0);
  fill_buckets(a.bias, kThreads, buckets);
  __syncthreads();
  fill(begin, 0);
  float dk[kWide / 8][4] = {}, dv[kWide / 8][4] = {};
  for (int first = begin, stage = 0; first < p.queries; first += kN, stage ^= 1) {
    copy_async_wait<0>();
    __syncthreads();  // this tile has arrived, and no thread reads the last one any more
    if (first + kN < p.queries) {
      copy(first + kN, stage ^ 1);
      fill(first + kN, stage ^ 1);
    }
    float ps[kN / 8][4] = {}, ds[kN / 8][4] = {};
    multiply_transposed<kDim, kN>(ks, qs.part(stage * kSize, kSize), ps);
    multiply_transposed<kDim, kN>(vs, dos.part(stage * kSize, kSize), ds);
    const int diagonal = stage * kDiagonals + kN - 1 + mine - quad * 2;
#pragma unroll
    for (int j = 0; j < kN / 8; j++) {
      float kept[2][2] = {{1, 1}, {1, 1}};
      if (a.drop_below > 0) {
        // This lane's call serves one of two queries, that of the lane 16 away the other.
        const DropoutRow of = dropout_row(a, p.q0 + first + j * 8 + quad * 2 + upper);
        const uint64_t index = attention_dropout_index(of.row, a.heads, head, p.first + mine % 16);
        const Philox random = dropout_philox(a.seed, of.offset, index);
#pragma unroll
        for (int h = 0; h < 2; h++) {
          const uint32_t low = random.word[2 * h], high = random.word[2 * h + 1];
          const uint32_t own = upper != 0 ? high : low;
          const uint32_t other = __shfl_xor_sync(kAllLanes, upper != 0 ? low : high, 16);
#pragma unroll
          for (int e = 0; e < 2; e++) {
            kept[h][e] = (e == upper ? own : other) >= a.drop_below ? a.kept_scale : 0.0f;
          }
        }
      }
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int query = stage * kN + j * 8 + quad * 2 + e;
        const float log_sum_exp = logs[query], mean = means[query];
#pragma unroll
        for (int h = 0; h < 2; h++) {
          float& x = ps[j][2 * h + e];
          float& y = ds[j][2 * h + e];
          const float score = fmaf(x, a.scale, diagonals[diagonal - j * 8 - e + 32 * h]);
          const float probability = __expf(score - log_sum_exp);
          y = probability * (y * kept[h][e] - mean);
          x = probability * kept[h][e];
        }
      }
    }
    uint32_t packed[kN / 16][4];
    pack<kN>(ps, packed);
    multiply<kDim, kN, kWide>(packed, dos.part(stage * kSize, kSize), part, dv);
    pack<kN>(ds, packed);
    multiply<kDim, kN, kWide>(packed, qs.part(stage * kSize, kSize), part, dk);
  }
  copy_async_wait<0>();  // without queries, the first copy is still pending
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const int key = p.first + mine + 32 * h;
    save_rows<kWide>(b.dk, key < p.keys, p.k0 + key, column + part, a.head_dim - part, a.scale, h,
                     dk);
    save_rows<kWide>(b.dv, key < p.keys, p.k0 + key, column + part, a.head_dim - part, 1, h, dv);
  }
}

template <int kDim>
cudaError_t run(CudaContext& context, const AttentionBackwardArguments& b, int64_t keys) {
  const AttentionArguments& a = b.forward;
  const uint32_t heads = static_cast<uint32_t>(a.heads);
  constexpr int kStride = kTileStride<kDim>;
  const size_t buckets = shared_bytes<int32_t>(kReach + 1);
  if (b.queries > 0) {
    constexpr int kN = kKeys<kDim>;
    const int64_t sums = block_buckets(b);
    const size_t bytes = 2 * shared_bytes<Bf16>(kTile * kStride) +
                         2 * shared_bytes<Bf16>(2 * kN * kStride) + shared_bytes<float>(kTile) +
                         shared_bytes<float>(2 * (kTile + kN)) + buckets +
                         shared_bytes<float>(sums > 0 ? kThreads / 4 * kSkewed<kDim> : 0) +
                         shared_bytes<float>(sums * kThreads);
    PRECIS_RETURN_IF_ERROR(
        launch("attention_backward, queries", queries_kernel<kDim>,
               dim3(sequence_tiles<kTile>(b.queries, a.sequences), heads, bucket_groups(b)),
               kThreads, bytes, context.stream, b));
  }
  if (keys == 0) return cudaSuccess;
  constexpr int kN = kQueries;
  const size_t bytes = 2 * shared_bytes<Bf16>(kTile * kStride) +
                       2 * shared_bytes<Bf16>(2 * kN * kStride) + 2 * shared_bytes<float>(2 * kN) +
                       shared_bytes<float>(2 * (kTile + kN)) + buckets;
  return launch("attention_backward, keys", keys_kernel<kDim>,
                dim3(sequence_tiles<kTile>(keys, a.sequences), heads, kDim / kColumns<kDim>),
                kThreads, bytes, context.stream, b);
}

}  // namespace

cudaError_t attention_backward_mma(CudaContext& context, const AttentionBackwardArguments& b,
                                   int64_t keys) {
  return with_head_dim(b.forward.head_dim,
                       [&](auto dim) { return run<decltype(dim)::value>(context, b, keys); });
}

}  // namespace precis
