// ds[i, j] = p[i, j] (z[i, j] dout[i] . v[j] - dout[i] . out[i]),  p = exp(score - log_sum_exp)
// dq = scale ds k,  dk = scale ds' q,  dv = (z p)' dout,  dbias[bucket] += its sum of ds
//                                                               native/src/ops/attention_backward.h
//
// Two kernels, both with the scores computed again (Dao et al. 2022): one whose blocks own 64
// queries and walk over the keys, for dq, dbias and dout . out, which it leaves in scratch; and one
// whose blocks own 64 keys and walk over the queries, for dk and dv. So every result is summed by
// one thread in one order. That is seven products of tiles in place of the five of a single pass;
// but the single pass needs dq added up over blocks, 4 bytes a query, column and tile of keys,
// which at 8 sequences of 256 is 25 MB written and read again, more time than the two products
// take; and the host, which does not know the lengths, could not tell how much scratch that is.
//
// bfloat16: tensor cores of sm_80 and up. A warp has 16 of the block's rows; scores and dout v'
// stay in registers, become p and ds there, and are, rounded, the left operands of what follows.
// dout is rounded as well if it is float32, also for dout . out: their difference is what counts.
// The next tile comes while this one is computed with. The rows of a warp of keys are those whose
// dropout is decided by the same calls of Philox.
//
// dbias: a warp adds up ds along the diagonals of its tile, and each lane its diagonals' sums into
// its own column of a table of buckets in shared memory. Columns, then blocks, are added in order.
//
// float32: plain fused multiply-adds, 32 by 32 at a time. For reference and not for speed.
//
// Not tried yet: wgmma and TMA on sm_90a.
#include "attention_tiles.cuh"
#include "kernels.h"
#include "ops/attention_backward.h"

namespace precis {
namespace {

// dbias has so many buckets at once; further blocks do the others.
constexpr int kBuckets = 32;

struct Arguments {
  AttentionArguments forward;
  AnyMatrix dout, dq, dk, dv;
  float* means;      // (heads, queries): dout . out
  float* bias_sums;  // (buckets, heads, blocks); nullptr: no dbias
  int64_t queries;

  __device__ __forceinline__ float* bias_sum(int bucket, int head) const {
    return bias_sums + (int64_t{bucket} * forward.heads + head) * gridDim.x + blockIdx.x;
  }
  // Which buckets are the block's.
  __device__ __forceinline__ int first_bucket() const {
    return static_cast<int>(blockIdx.z) * kBuckets;
  }
  __device__ __forceinline__ int bucket_count() const {
    const int left = forward.bias.buckets - first_bucket();
    return bias_sums == nullptr ? 0 : left < kBuckets ? left : kBuckets;
  }
};

// The columns of the table of buckets, in order, to scratch.
template <int kBlock, int kColumns>
__device__ __forceinline__ void store_bias_sums(const Arguments& b, const Shared<float>& sums,
                                                int head) {
  const int count = b.bucket_count();
  for (int bucket = thread() / 32; bucket < count; bucket += kBlock / 32) {
    float sum = 0;
    for (int c = thread() % 32; c < kColumns; c += 32) sum += sums[bucket * kColumns + c];
    sum = warp_reduce(sum, Sum());
    if (thread() % 32 == 0) *b.bias_sum(b.first_bucket() + bucket, head) = sum;
  }
}
__device__ __forceinline__ void store_no_bias_sums(const Arguments& b, int head) {
  if (thread() < b.bucket_count()) *b.bias_sum(b.first_bucket() + thread(), head) = 0;
}

// ------------------------------------------------------------------ bfloat16

// Keys of a tile.
template <int kDim>
constexpr int kKeys = kDim > 128 ? 32 : 64;
// The sums of eight rows of a warp, with a margin of zeros on either side.
template <int kDim>
constexpr int kSkewed = kKeys<kDim> + 24;

// ds of the warp's 16 rows is added up by diagonal. relative: of the upper left corner. Rows eight
// apart have the same diagonal eight columns apart: the registers come first. Between two calls
// there must be a barrier.
template <int kDim>
__device__ __forceinline__ void add_diagonals(const Arguments& b, const Shared<int32_t>& buckets,
                                              int relative, const float (&ds)[kKeys<kDim> / 8][4],
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
__global__ void __launch_bounds__(kThreads) queries_kernel(Arguments b) {
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
    copy_tile<kDim, kN>(ks.part(stage * kSize, kSize), a.k, p.k0, first, p.keys, column,
                        a.head_dim);
    copy_tile<kDim, kN>(vs.part(stage * kSize, kSize), a.v, p.k0, first, p.keys, column,
                        a.head_dim);
    copy_async_commit();
  };
  auto fill = [&](int first, int stage) {
    fill_diagonals(a.bias, buckets, a.causal, head, first - p.first - (kTile - 1), kDiagonals - 1,
                   kThreads, diagonals.part(stage * kDiagonals, kDiagonals));
  };

  copy_tile<kDim, kTile>(dos, b.dout, p.q0, p.first, p.queries, column, a.head_dim);
  copy_tile<kDim, kTile>(qs, a.q, p.q0, p.first, p.queries, column, a.head_dim);
  copy_async_commit();
  copy(0, 0);
  fill_buckets(a.bias, kThreads, buckets);
  for (int bucket = 0; bucket < bucket_count; bucket++) sums[bucket * kThreads + thread()] = 0;
  if (bucket_count > 0) {
    for (int i = lane; i < 8 * kSkewed<kDim>; i += 32) skewed[warp * 8 * kSkewed<kDim> + i] = 0;
  }
  copy_async_wait<1>();
  __syncthreads();  // dout and the buckets are there
  fill(0, 0);
  // dout . out: eight lanes have a row.
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int r = warp * 16 + i * 4 + lane / 8, query = p.first + r;
    float mean = 0;
    for (int d = lane % 8 * kEight; d < a.head_dim; d += 8 * kEight) {
      const int left = query < p.queries ? a.head_dim - d : 0;
      float x[kEight], y[kEight];
      a.out.load(p.q0 + query, column + d, left < kEight ? left : kEight, x);
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
    __syncthreads();  // this tile is there, the last one is read no more
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
  copy_async_wait<0>();  // where there are no keys
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

// Queries of a tile. With 64, heads of 64 take 218 registers, with 32 159: three blocks fit.
constexpr int kQueries = 32;
// Columns of dk and dv that a block has; blockIdx.z says which.
template <int kDim>
constexpr int kColumns = kDim > 128 ? 128 : kDim;

// Keys that are 16 apart share a call of Philox. Of every warp's 16 rows two are a lane's and two
// those of the lane 16 further, and these four are the keys i, i + 16, i + 32, i + 48 of the block.
struct Spread {
  __device__ __forceinline__ int operator()(int slot) const {
    return slot % 16 / 4 * 16 + slot / 16 * 4 + slot % 4;
  }
};

template <int kDim>
__global__ void __launch_bounds__(kThreads) keys_kernel(Arguments b) {
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
  const int mine = Spread()(thread() / 32 * 16 + lane / 4);  // and 32 further
  auto copy = [&](int first, int stage) {
    copy_tile<kDim, kN>(qs.part(stage * kSize, kSize), a.q, p.q0, first, p.queries, column,
                        a.head_dim);
    copy_tile<kDim, kN>(dos.part(stage * kSize, kSize), b.dout, p.q0, first, p.queries, column,
                        a.head_dim);
    copy_async_commit();
  };
  auto fill = [&](int first, int stage) {
    fill_diagonals(a.bias, buckets, a.causal, head, p.first - first - (kN - 1), kDiagonals - 1,
                   kThreads, diagonals.part(stage * kDiagonals, kDiagonals));
    if (thread() < kN) {
      const int query = first + thread();
      const bool is = query < p.queries;
      logs[stage * kN + thread()] = is ? a.log_sum_exp.row(p.q0 + query)[head] : INFINITY;
      means[stage * kN + thread()] = is ? b.means[head * b.queries + p.q0 + query] : 0.0f;
    }
  };

  // With causal the queries before the first key see none of them.
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
    __syncthreads();  // this tile is there, the last one is read no more
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
        // This lane's call is for one of two queries, its neighbour's for the other.
        const uint64_t index = attention_dropout_index(p.q0 + first + j * 8 + quad * 2 + upper,
                                                       a.heads, head, p.first + mine % 16);
        const Philox random =
            philox4x32_10(dropout_counter(a.offset, index), static_cast<uint32_t>(a.seed),
                          static_cast<uint32_t>(a.seed >> 32));
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
  copy_async_wait<0>();  // where there are no queries
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const int key = p.first + mine + 32 * h;
    save_rows<kWide>(b.dk, key < p.keys, p.k0 + key, column + part, a.head_dim - part, a.scale, h,
                     dk);
    save_rows<kWide>(b.dv, key < p.keys, p.k0 + key, column + part, a.head_dim - part, 1, h, dv);
  }
}

// ------------------------------------------------------------------ float32

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

// 1 / (1 - dropout) or 0; 1 without dropout.
__device__ __forceinline__ float kept_factor(const AttentionArguments& a, int64_t row, int head,
                                             int key) {
  if (a.drop_below == 0) return 1;
  const uint64_t index = attention_dropout_index(row, a.heads, head, key);
  return dropout_keeps(a.seed, a.offset, index, a.drop_below) ? a.kept_scale : 0.0f;
}

template <int kDim>
__global__ void __launch_bounds__(kFloatThreads, 2) queries_float_kernel(Arguments b) {
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
  const int mine = thread() / kShare, part = thread() % kShare, query = p.first + mine;
  const bool wanted = query < p.queries;
  float mean = 0;
  for (int d = part; wanted && d < a.head_dim; d += kShare) {
    mean = fmaf(dos[mine * kStride + d], a.out.get(p.q0 + query, column + d), mean);
  }
#pragma unroll
  for (int d = 1; d < kShare; d *= 2) mean += __shfl_xor_sync(kAllLanes, mean, d);
  if (wanted && part == 0) b.means[head * b.queries + p.q0 + query] = mean;
  const float log_sum_exp = wanted ? a.log_sum_exp.row(p.q0 + query)[head] : INFINITY;

  const int end = visible_keys(a, p, p.first + kSmallTile - 1);
  float dq[kDim / kShare] = {};
  for (int first = 0; first < end; first += kSmallTile) {
    __syncthreads();
    load_tile<kDim>(ks, a.k, p.k0, first, p.keys, column, a.head_dim);
    load_tile<kDim>(vs, a.v, p.k0, first, p.keys, column, a.head_dim);
    fill_diagonals(a.bias, buckets, a.causal, head, first - p.first - (kSmallTile - 1),
                   kDiagonals - 1, kFloatThreads, diagonals);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kSmallTile / kShare; i++) {
      const int j = part + i * kShare;
      const float score =
          dot<kDim>(qs, mine, ks, j) * a.scale + diagonals[j - mine + kSmallTile - 1];
      const float probability = first + j < p.keys ? expf(score - log_sum_exp) : 0.0f;
      const float kept = kept_factor(a, p.q0 + query, head, first + j);
      ds[mine * (kSmallTile + 1) + j] = probability * (kept * dot<kDim>(dos, mine, vs, j) - mean);
    }
    __syncwarp();  // a query's threads are of one warp
#pragma unroll
    for (int i = 0; i < kDim / kShare; i++) {
#pragma unroll 4
      for (int j = 0; j < kSmallTile; j++) {
        dq[i] = fmaf(ds[mine * (kSmallTile + 1) + j], ks[j * kStride + part + i * kShare], dq[i]);
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
  for (int i = 0; i < kDim / kShare; i++) {
    const int d = part + i * kShare;
    if (d < a.head_dim) b.dq.set(p.q0 + query, column + d, dq[i] * a.scale);
  }
}

template <int kDim>
__global__ void __launch_bounds__(kFloatThreads, 2) keys_float_kernel(Arguments b) {
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
  const int mine = thread() / kShare, part = thread() % kShare, key = p.first + mine;
  float dk[kDim / kShare] = {}, dv[kDim / kShare] = {};
  for (int first = a.causal ? p.first : 0; first < p.queries; first += kSmallTile) {
    __syncthreads();
    load_tile<kDim>(qs, a.q, p.q0, first, p.queries, column, a.head_dim);
    load_tile<kDim>(dos, b.dout, p.q0, first, p.queries, column, a.head_dim);
    fill_diagonals(a.bias, buckets, a.causal, head, p.first - first - (kSmallTile - 1),
                   kDiagonals - 1, kFloatThreads, diagonals);
    if (thread() < kSmallTile) {
      const int query = first + thread();
      const bool is = query < p.queries;
      logs[thread()] = is ? a.log_sum_exp.row(p.q0 + query)[head] : INFINITY;
      means[thread()] = is ? b.means[head * b.queries + p.q0 + query] : 0.0f;
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kSmallTile / kShare; i++) {
      const int j = part + i * kShare;
      const float score =
          dot<kDim>(ks, mine, qs, j) * a.scale + diagonals[mine - j + kSmallTile - 1];
      const float probability = expf(score - logs[j]);
      const float kept = kept_factor(a, p.q0 + first + j, head, key);
      ps[mine * (kSmallTile + 1) + j] = probability * kept;
      ds[mine * (kSmallTile + 1) + j] =
          probability * (kept * dot<kDim>(vs, mine, dos, j) - means[j]);
    }
    __syncwarp();  // a key's threads are of one warp
#pragma unroll
    for (int i = 0; i < kDim / kShare; i++) {
      const int d = part + i * kShare;
#pragma unroll 4
      for (int j = 0; j < kSmallTile; j++) {
        dk[i] = fmaf(ds[mine * (kSmallTile + 1) + j], qs[j * kStride + d], dk[i]);
        dv[i] = fmaf(ps[mine * (kSmallTile + 1) + j], dos[j * kStride + d], dv[i]);
      }
    }
  }
  if (key >= p.keys) return;
#pragma unroll
  for (int i = 0; i < kDim / kShare; i++) {
    const int d = part + i * kShare;
    if (d >= a.head_dim) continue;
    b.dk.set(p.k0 + key, column + d, dk[i] * a.scale);
    b.dv.set(p.k0 + key, column + d, dv[i]);
  }
}

// ------------------------------------------------------------------ all blocks' sums

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

template <int kDim>
cudaError_t run(CudaContext& context, const Arguments& b, int64_t keys, bool bf16) {
  const AttentionArguments& a = b.forward;
  const uint32_t heads = static_cast<uint32_t>(a.heads);
  const int buckets = b.bias_sums == nullptr ? 0 : a.bias.buckets;
  const uint32_t chunks = buckets == 0 ? 1 : static_cast<uint32_t>(ceil_div(buckets, kBuckets));
  const int64_t together = buckets < kBuckets ? buckets : kBuckets;
  if (b.queries > 0 && bf16) {
    constexpr int kN = kKeys<kDim>, kStride = kTileStride<kDim>;
    const size_t bytes = 2 * shared_bytes<Bf16>(kTile * kStride) +
                         2 * shared_bytes<Bf16>(2 * kN * kStride) + shared_bytes<float>(kTile) +
                         shared_bytes<float>(2 * (kTile + kN)) + shared_bytes<int32_t>(kReach + 1) +
                         shared_bytes<float>(buckets > 0 ? kThreads / 4 * kSkewed<kDim> : 0) +
                         shared_bytes<float>(together * kThreads);
    PRECIS_RETURN_IF_ERROR(
        launch("attention_backward, queries", queries_kernel<kDim>,
               dim3(sequence_tiles<kTile>(b.queries, a.sequences), heads, chunks), kThreads, bytes,
               context.stream, b));
  } else if (b.queries > 0) {
    const size_t bytes = 4 * shared_bytes<float>(kSmallTile * (kDim + 1)) +
                         shared_bytes<float>(kSquare) + shared_bytes<float>(2 * kSmallTile) +
                         shared_bytes<int32_t>(kReach + 1) +
                         shared_bytes<float>(together * 2 * kSmallTile);
    PRECIS_RETURN_IF_ERROR(
        launch("attention_backward, queries, float32", queries_float_kernel<kDim>,
               dim3(sequence_tiles<kSmallTile>(b.queries, a.sequences), heads, chunks),
               kFloatThreads, bytes, context.stream, b));
  }
  if (keys == 0) return cudaSuccess;
  if (bf16) {
    constexpr int kN = kQueries, kStride = kTileStride<kDim>;
    const size_t bytes = 2 * shared_bytes<Bf16>(kTile * kStride) +
                         2 * shared_bytes<Bf16>(2 * kN * kStride) +
                         2 * shared_bytes<float>(2 * kN) + shared_bytes<float>(2 * (kTile + kN)) +
                         shared_bytes<int32_t>(kReach + 1);
    return launch("attention_backward, keys", keys_kernel<kDim>,
                  dim3(sequence_tiles<kTile>(keys, a.sequences), heads, kDim / kColumns<kDim>),
                  kThreads, bytes, context.stream, b);
  }
  const size_t bytes = 4 * shared_bytes<float>(kSmallTile * (kDim + 1)) +
                       2 * shared_bytes<float>(kSquare) + 2 * shared_bytes<float>(kSmallTile) +
                       shared_bytes<float>(2 * kSmallTile) + shared_bytes<int32_t>(kReach + 1);
  return launch("attention_backward, keys, float32", keys_float_kernel<kDim>,
                dim3(sequence_tiles<kSmallTile>(keys, a.sequences), heads), kFloatThreads, bytes,
                context.stream, b);
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
  const Arguments args = {attention_arguments(a),
                          any_matrix(b.dout),
                          any_matrix(b.dq),
                          any_matrix(b.dk),
                          any_matrix(b.dv),
                          means,
                          bias_sums,
                          queries};
  const int32_t head_dim = args.forward.head_dim;
  if (head_dim > kMaxHeadDim) return cudaErrorInvalidValue;
  PRECIS_RETURN_IF_ERROR(head_dim <= 64    ? run<64>(context, args, keys, bf16)
                         : head_dim <= 128 ? run<128>(context, args, keys, bf16)
                                           : run<kMaxHeadDim>(context, args, keys, bf16));
  if (bias_sums == nullptr) return cudaSuccess;
  return launch("attention_backward, dbias", bias_sums_kernel,
                dim3(static_cast<uint32_t>(buckets), static_cast<uint32_t>(a.heads)), kSumThreads,
                0, context.stream, static_cast<const float*>(bias_sums), blocks,
                static_cast<int>(a.heads), matrix<float>(b.dbias));
}

}  // namespace precis
