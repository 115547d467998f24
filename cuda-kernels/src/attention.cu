// out[i, h] = sum_j softmax_j(scale q[i, h] . k[j, h] + bias[bucket(j - i), h]) v[j, h]
//                                                                        native/src/ops/attention.h
//
// One pass over keys and values with a running maximum and sum for each query (Dao et al. 2022,
// "FlashAttention"), so scores never leave the block. T5's bias is read from a table in shared
// memory with one value for each relative position; a tensor (heads, queries, keys) is never
// materialized.
//
// bfloat16: tensor cores of sm_80 and later. A block has 64 queries of a head, a warp 16 of them;
// keys come in tiles of 64, or 32 where heads are wide. Scores stay in the registers in which mma
// leaves them and, rounded, are the operand of the product with v. The next tile's keys and values
// are copied while this tile is computed, but where heads are wide.
//
// float32: plain fused multiply-adds, 32 queries and keys at a time, eight threads to a query. This
// is a reference mode and not tuned for speed.
//
// Tried: looking up the bias by relative position, clamped for each score, took six instructions a
// score; looking it up by diagonal of the tile takes one load. Not tried yet: wgmma and TMA on
// sm_90a.
#include "attention_tiles.cuh"
#include "kernels.h"
#include "ops/attention.h"

namespace precis {
namespace {

// ------------------------------------------------------------------ bfloat16

template <int kDim>
__global__ void __launch_bounds__(kThreads) attention_kernel(AttentionArguments a) {
  constexpr int kN = kKeys<kDim>, kSize = kN * kTileStride<kDim>, kDiagonals = kTile + kN;
  constexpr bool kAhead = kStages<kDim> == 2;
  DynamicShared dynamic;
  const Shared<Bf16> qs = dynamic.take<Bf16>(kTile * kTileStride<kDim>);
  const Shared<Bf16> ks = dynamic.take<Bf16>(kStages<kDim> * kSize);
  const Shared<Bf16> vs = dynamic.take<Bf16>(kStages<kDim> * kSize);
  const Shared<float> diagonals = dynamic.take<float>(kStages<kDim> * kDiagonals);
  const Shared<int32_t> buckets = dynamic.take<int32_t>(kReach + 1);
  const Place p = find_place<kTile, true>(a);
  if (p.first >= p.queries) return;
  const int head = static_cast<int>(blockIdx.y), column = head * a.head_dim;
  const int lane = thread() % 32, quad = lane % 4, mine = thread() / 32 * 16 + lane / 4;
  auto copy = [&](int first, int stage) {
    copy_tiles<kDim, kN>(ks.part(stage * kSize, kSize), a.k, vs.part(stage * kSize, kSize), a.v,
                         p.k0, first, p.keys, column, a.head_dim);
  };
  auto fill = [&](int first, int stage) {
    fill_diagonals(a.bias, buckets, a.causal, head, first - p.first - (kTile - 1), kDiagonals - 1,
                   kThreads, diagonals.part(stage * kDiagonals, kDiagonals));
  };

  copy_tile<kDim, kTile>(qs, a.q, p.q0, p.first, p.queries, column, a.head_dim);
  copy(0, 0);
  fill_buckets(a.bias, kThreads, buckets);
  __syncthreads();
  fill(0, 0);
  const int end = visible_keys(a, p, p.first + kTile - 1);
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {};
  float out[kDim / 8][4] = {};
  for (int first = 0, stage = 0; first < end; first += kN, stage ^= kAhead ? 1 : 0) {
    copy_async_wait<0>();
    __syncthreads();  // this tile has arrived, and no thread reads the last one any more
    if (kAhead && first + kN < end) {
      copy(first + kN, stage ^ 1);
      fill(first + kN, stage ^ 1);
    }
    float score[kN / 8][4] = {};
    multiply_transposed<kDim, kN>(qs, ks.part(stage * kSize, kSize), score);
    const bool cut = first + kN > p.keys;
    const int diagonal = stage * kDiagonals + kTile - 1 - mine + quad * 2;
    float keep[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float most = largest[h];
#pragma unroll
      for (int j = 0; j < kN / 8; j++) {
#pragma unroll
        for (int e = 0; e < 2; e++) {
          float& s = score[j][2 * h + e];
          s = fmaf(s, a.scale, diagonals[diagonal + j * 8 + e - 8 * h]);
          if (cut && first + j * 8 + quad * 2 + e >= p.keys) s = -INFINITY;
          most = s > most ? s : most;
        }
      }
#pragma unroll
      for (int d = 1; d < 4; d *= 2) {
        const float other = __shfl_xor_sync(kAllLanes, most, d);
        most = other > most ? other : most;
      }
      keep[h] = largest[h] == -INFINITY ? 0.0f : __expf(largest[h] - most);
      largest[h] = most;
      float tile_sum = 0;
#pragma unroll
      for (int j = 0; j < kN / 8; j++) {
#pragma unroll
        for (int e = 0; e < 2; e++) {
          float& s = score[j][2 * h + e];
          s = __expf(s - most);
          tile_sum += s;
        }
      }
#pragma unroll
      for (int d = 1; d < 4; d *= 2) tile_sum += __shfl_xor_sync(kAllLanes, tile_sum, d);
      sum[h] = sum[h] * keep[h] + tile_sum;
      if (a.drop_below > 0) {
        for_dropout_words<kN>(a, p.q0 + p.first + mine + 8 * h, head, first,
                              [&](int j, int e, uint32_t word) {
                                float& s = score[j][2 * h + e];
                                s = word >= a.drop_below ? s * a.kept_scale : 0.0f;
                              });
      }
    }
#pragma unroll
    for (int n = 0; n < kDim / 8; n++) {
#pragma unroll
      for (int e = 0; e < 4; e++) out[n][e] *= keep[e / 2];
    }
    uint32_t packed[kN / 16][4];
    pack<kN>(score, packed);
    multiply<kDim, kN, kDim>(packed, vs.part(stage * kSize, kSize), 0, out);
    if (!kAhead && first + kN < end) {
      __syncthreads();  // no thread reads this tile any more
      copy(first + kN, 0);
      fill(first + kN, 0);
    }
  }
  copy_async_wait<0>();  // without keys, the first copy is still pending

#pragma unroll
  for (int h = 0; h < 2; h++) {
    const int query = p.first + mine + 8 * h;
    const bool wanted = query < p.queries;
    save_rows<kDim>(a.out, wanted, p.q0 + query, column, a.head_dim, 1 / sum[h], h, out);
    if (wanted && a.log_sum_exp.data != nullptr && quad == 0) {
      a.log_sum_exp.row(p.q0 + query)[head] = largest[h] + logf(sum[h]);
    }
  }
}

// ------------------------------------------------------------------ float32

template <int kDim>
__global__ void __launch_bounds__(kFloatThreads, 2) attention_float_kernel(AttentionArguments a) {
  constexpr int kStride = kDim + 1;
  DynamicShared dynamic;
  const Shared<float> qs = dynamic.take<float>(kSmallTile * kStride);
  const Shared<float> ks = dynamic.take<float>(kSmallTile * kStride);
  const Shared<float> vs = dynamic.take<float>(kSmallTile * kStride);
  const Shared<float> ps = dynamic.take<float>(kSmallTile * (kSmallTile + 1));
  const Shared<float> diagonals = dynamic.take<float>(2 * kSmallTile);
  const Shared<int32_t> buckets = dynamic.take<int32_t>(kReach + 1);
  const Place p = find_place<kSmallTile, true>(a);
  if (p.first >= p.queries) return;
  const int head = static_cast<int>(blockIdx.y), column = head * a.head_dim;
  load_tile<kDim>(qs, a.q, p.q0, p.first, p.queries, column, a.head_dim);
  fill_buckets(a.bias, kFloatThreads, buckets);
  const int mine = thread() / kRowThreads, part = thread() % kRowThreads, query = p.first + mine;
  const int end = visible_keys(a, p, p.first + kSmallTile - 1);
  float largest = -INFINITY, sum = 0, out[kDim / kRowThreads] = {};
  for (int first = 0; first < end; first += kSmallTile) {
    __syncthreads();
    load_tile<kDim>(ks, a.k, p.k0, first, p.keys, column, a.head_dim);
    load_tile<kDim>(vs, a.v, p.k0, first, p.keys, column, a.head_dim);
    fill_diagonals(a.bias, buckets, a.causal, head, first - p.first - (kSmallTile - 1),
                   2 * kSmallTile - 1, kFloatThreads, diagonals);
    __syncthreads();
    float score[kSmallTile / kRowThreads], most = largest;
#pragma unroll
    for (int i = 0; i < kSmallTile / kRowThreads; i++) {
      const int j = part + i * kRowThreads;
      float dot = 0;
#pragma unroll 8
      for (int d = 0; d < kDim; d++) dot = fmaf(qs[mine * kStride + d], ks[j * kStride + d], dot);
      score[i] = dot * a.scale + diagonals[j - mine + kSmallTile - 1];
      if (first + j >= p.keys) score[i] = -INFINITY;
      most = score[i] > most ? score[i] : most;
    }
#pragma unroll
    for (int d = 1; d < kRowThreads; d *= 2) {
      const float other = __shfl_xor_sync(kAllLanes, most, d);
      most = other > most ? other : most;
    }
    const float keep = largest == -INFINITY ? 0.0f : expf(largest - most);
    largest = most;
    float tile_sum = 0;
    const DropoutRow of = dropout_row(a, p.q0 + query);
#pragma unroll
    for (int i = 0; i < kSmallTile / kRowThreads; i++) {
      const int j = part + i * kRowThreads;
      score[i] = expf(score[i] - most);
      tile_sum += score[i];
      if (a.drop_below > 0) {
        const uint64_t index = attention_dropout_index(of.row, a.heads, head, first + j);
        const bool kept = dropout_keeps(a.seed, of.offset, index, a.drop_below);
        score[i] = kept ? score[i] * a.kept_scale : 0.0f;
      }
      ps[mine * (kSmallTile + 1) + j] = score[i];
    }
#pragma unroll
    for (int d = 1; d < kRowThreads; d *= 2) tile_sum += __shfl_xor_sync(kAllLanes, tile_sum, d);
    sum = sum * keep + tile_sum;
    __syncwarp();  // a query's threads are in one warp; the shuffles above do not order memory
#pragma unroll
    for (int i = 0; i < kDim / kRowThreads; i++) {
      out[i] *= keep;
#pragma unroll 4
      for (int j = 0; j < kSmallTile; j++) {
        out[i] =
            fmaf(ps[mine * (kSmallTile + 1) + j], vs[j * kStride + part + i * kRowThreads], out[i]);
      }
    }
  }
  if (query >= p.queries) return;
#pragma unroll
  for (int i = 0; i < kDim / kRowThreads; i++) {
    const int d = part + i * kRowThreads;
    if (d < a.head_dim) a.out.set(p.q0 + query, column + d, out[i] / sum);
  }
  if (a.log_sum_exp.data != nullptr && part == 0) {
    a.log_sum_exp.row(p.q0 + query)[head] = largest + logf(sum);
  }
}

template <int kDim>
cudaError_t run(CudaContext& context, const AttentionArguments& args, int64_t queries, bool bf16) {
  const uint32_t heads = static_cast<uint32_t>(args.heads);
  const size_t buckets = shared_bytes<int32_t>(kReach + 1);
  if (bf16) {
    constexpr int kN = kKeys<kDim>;
    const size_t bytes = shared_bytes<Bf16>(kTile * kTileStride<kDim>) +
                         2 * shared_bytes<Bf16>(kStages<kDim> * kN * kTileStride<kDim>) +
                         shared_bytes<float>(kStages<kDim> * (kTile + kN)) + buckets;
    return launch("attention", attention_kernel<kDim>,
                  dim3(sequence_tiles<kTile>(queries, args.sequences), heads), kThreads, bytes,
                  context.stream, args);
  }
  const size_t bytes = 3 * shared_bytes<float>(kSmallTile * (kDim + 1)) +
                       shared_bytes<float>(kSmallTile * (kSmallTile + 1)) +
                       shared_bytes<float>(2 * kSmallTile) + buckets;
  return launch("attention, float32", attention_float_kernel<kDim>,
                dim3(sequence_tiles<kSmallTile>(queries, args.sequences), heads), kFloatThreads,
                bytes, context.stream, args);
}

}  // namespace

cudaError_t attention_cuda(CudaContext& context, const precis_attention_args& a) {
  if (rows(a.q) == 0 || a.sequences == 0) return cudaSuccess;
  const AttentionArguments args = attention_arguments(a);
  const bool bf16 = a.q.dtype == PRECIS_BFLOAT16;
  if (args.head_dim <= 64) return run<64>(context, args, rows(a.q), bf16);
  if (args.head_dim <= 128) return run<128>(context, args, rows(a.q), bf16);
  if (args.head_dim <= kMaxHeadDim) return run<kMaxHeadDim>(context, args, rows(a.q), bf16);
  return cudaErrorInvalidValue;
}

}  // namespace precis
