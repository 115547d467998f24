// out[i, h] = sum_j softmax_j(scale q[i, h] . k[j, h] + bias[bucket(j - i), h]) v[j, h]
//                                                                        native/src/ops/attention.h
//
// One pass over keys and values with a running maximum and sum for each query (Dao et al. 2022,
// "FlashAttention"), so that scores never leave the block. T5's bias is read from a table of one
// value for each relative position, in shared memory: (heads, queries, keys) exists nowhere.
//
// bfloat16: tensor cores of sm_80 and up. A block has 64 queries of a head, a warp 16 of them; keys
// come in tiles of 64. Scores stay in the registers in which mma leaves them, and are, rounded, the
// operand of the product with v. Values come while scores are computed.
//
// float32: plain fused multiply-adds, 32 queries and keys at a time; eight threads have a query.
// For reference and not for speed.
//
// Not tried yet: two tiles of keys under way, wgmma and TMA on sm_90a.
#include "kernels.h"
#include "ops/attention.h"
#include "random/dropout_mask.h"
#include "relative_bias.cuh"
#include "sequence_tiles.cuh"

namespace precis {
namespace {

struct Arguments {
  AnyMatrix q, k, v, out;
  Matrix<float> log_sum_exp;
  const int32_t* query_offsets;
  const int32_t* key_offsets;
  BiasTable bias;
  uint64_t seed, offset;
  uint32_t drop_below;
  float kept_scale;  // 1 / (1 - dropout)
  float scale;
  int32_t sequences, heads, head_dim;
  bool causal;
};

// Where a block works.
struct Place {
  int64_t q0, k0;     // first row of the sequence in q and in k
  int first;          // query of the sequence
  int queries, keys;  // of the sequence
};

template <int kRows>
__device__ Place find_place(const Arguments& a) {
  const SequenceTile t =
      find_sequence_tile<kRows>(a.query_offsets, a.sequences, static_cast<int>(blockIdx.x));
  Place p;
  p.q0 = a.query_offsets[t.sequence];
  p.k0 = a.key_offsets[t.sequence];
  p.first = t.first;
  p.queries = a.query_offsets[t.sequence + 1] - static_cast<int>(p.q0);
  p.keys = a.key_offsets[t.sequence + 1] - static_cast<int>(p.k0);
  return p;
}

__device__ __forceinline__ int visible_keys(const Arguments& a, const Place& p, int query) {
  return a.causal && query + 1 < p.keys ? query + 1 : p.keys;
}

// ------------------------------------------------------------------ bfloat16

constexpr int kTile = 64;  // queries of a block, and keys at a time
constexpr int kThreads = 128;

// Rows [first, first + kTile) of a sequence's part of a head, zeros behind end and beyond head_dim.
template <int kDim>
__device__ __forceinline__ void copy_tile(const Shared<Bf16>& tile, const AnyMatrix& from,
                                          int64_t row0, int first, int end, int column,
                                          int head_dim) {
  constexpr int kEights = kDim / kEight;
  for (int e = thread(); e < kTile * kEights; e += kThreads) {
    const int row = e / kEights, d = e % kEights * kEight;
    Bf16* to = tile.at(row * (kDim + kEight) + d, kEight);
    const bool wanted = first + row < end && d < head_dim;
    const Bf16* source = static_cast<const Bf16*>(from.data) +
                         (wanted ? (row0 + first + row) * from.stride + column + d : 0);
    if (!wanted || (d + kEight <= head_dim && is_aligned(source))) {
      copy_async(to, wanted ? source : from.data, wanted);
    } else {
#pragma unroll
      for (int i = 0; i < kEight; i++) to[i] = d + i < head_dim ? source[i] : Bf16{0};
    }
  }
  copy_async_commit();
}

template <int kDim>
__global__ void __launch_bounds__(kThreads) attention_kernel(Arguments a) {
  constexpr int kStride = kDim + kEight;
  DynamicShared dynamic;
  const Shared<Bf16> qs = dynamic.take<Bf16>(kTile * kStride);
  const Shared<Bf16> ks = dynamic.take<Bf16>(kTile * kStride);
  const Shared<Bf16> vs = dynamic.take<Bf16>(kTile * kStride);
  const Shared<float> biases = dynamic.take<float>(kBiasValues);
  const Place p = find_place<kTile>(a);
  if (p.first >= p.queries) return;
  const int head = static_cast<int>(blockIdx.y), column = head * a.head_dim;
  const int lane = thread() % 32, warp_row = thread() / 32 * 16;
  const int quad = lane % 4;

  copy_tile<kDim>(qs, a.q, p.q0, p.first, p.queries, column, a.head_dim);
  fill_bias_values(a.bias, head, kThreads, biases);

  // Each thread has of two queries, 8 apart, every fourth pair of columns.
  int query[2], visible[2];
#pragma unroll
  for (int h = 0; h < 2; h++) {
    query[h] = p.first + warp_row + lane / 4 + 8 * h;
    visible[h] = visible_keys(a, p, query[h]);
  }
  const int end = visible_keys(a, p, p.first + kTile - 1);
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {};
  float out[kDim / 8][4] = {};
  for (int first = 0; first < end; first += kTile) {
    copy_tile<kDim>(ks, a.k, p.k0, first, p.keys, column, a.head_dim);
    copy_tile<kDim>(vs, a.v, p.k0, first, p.keys, column, a.head_dim);
    copy_async_wait<1>();
    __syncthreads();  // queries, biases and keys are there
    float score[kTile / 8][4] = {};
#pragma unroll
    for (int d = 0; d < kDim; d += 16) {
      uint32_t qf[4];
      load_matrices<false>(qs.at((warp_row + lane % 16) * kStride + d + lane / 16 * kEight, kEight),
                           qf);
#pragma unroll
      for (int j = 0; j < kTile / 8; j += 2) {
        uint32_t kf[4];
        load_matrices<false>(
            ks.at((j * 8 + lane % 8 + lane / 16 * 8) * kStride + d + lane / 8 % 2 * kEight, kEight),
            kf);
        mma_bf16(score[j], qf, kf[0], kf[1]);
        mma_bf16(score[j + 1], qf, kf[2], kf[3]);
      }
    }
    float keep[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float most = largest[h];
#pragma unroll
      for (int j = 0; j < kTile / 8; j++) {
#pragma unroll
        for (int e = 0; e < 2; e++) {
          const int key = first + j * 8 + quad * 2 + e;
          float& s = score[j][2 * h + e];
          s *= a.scale;
          if (a.bias.data != nullptr) s += bias_value(a.bias, head, biases, key - query[h]);
          if (key >= visible[h]) s = -INFINITY;
          most = s > most ? s : most;
        }
      }
#pragma unroll
      for (int d = 1; d < 4; d *= 2) {
        const float other = __shfl_xor_sync(kAllLanes, most, d);
        most = other > most ? other : most;
      }
      keep[h] = largest[h] == -INFINITY ? 0.0f : expf(largest[h] - most);
      largest[h] = most;
      float tile_sum = 0;
#pragma unroll
      for (int j = 0; j < kTile / 8; j++) {
#pragma unroll
        for (int e = 0; e < 2; e++) {
          float& s = score[j][2 * h + e];
          s = expf(s - most);
          tile_sum += s;
        }
      }
#pragma unroll
      for (int d = 1; d < 4; d *= 2) tile_sum += __shfl_xor_sync(kAllLanes, tile_sum, d);
      sum[h] = sum[h] * keep[h] + tile_sum;
      if (a.drop_below > 0) {
        // One call of Philox for the keys i, i + 16, i + 32 and i + 48 of the tile.
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const int key = i / 2 * 8 + quad * 2 + i % 2;
          const uint64_t index =
              attention_dropout_index(p.q0 + query[h], a.heads, head, first + key);
          const Philox random =
              philox4x32_10(dropout_counter(a.offset, index), static_cast<uint32_t>(a.seed),
                            static_cast<uint32_t>(a.seed >> 32));
#pragma unroll
          for (int w = 0; w < 4; w++) {
            float& s = score[2 * w + i / 2][2 * h + i % 2];
            s = random.word[w] >= a.drop_below ? s * a.kept_scale : 0.0f;
          }
        }
      }
    }
#pragma unroll
    for (int n = 0; n < kDim / 8; n++) {
#pragma unroll
      for (int e = 0; e < 4; e++) out[n][e] *= keep[e / 2];
    }
    copy_async_wait<0>();
    __syncthreads();  // values are there
#pragma unroll
    for (int k = 0; k < kTile / 16; k++) {
      const uint32_t pf[4] = {pack_bf16(score[2 * k][0], score[2 * k][1]),
                              pack_bf16(score[2 * k][2], score[2 * k][3]),
                              pack_bf16(score[2 * k + 1][0], score[2 * k + 1][1]),
                              pack_bf16(score[2 * k + 1][2], score[2 * k + 1][3])};
#pragma unroll
      for (int n = 0; n < kDim / 8; n += 2) {
        uint32_t vf[4];
        load_matrices<true>(
            vs.at((k * 16 + lane % 16) * kStride + n * 8 + lane / 16 * kEight, kEight), vf);
        mma_bf16(out[n], pf, vf[0], vf[1]);
        mma_bf16(out[n + 1], pf, vf[2], vf[3]);
      }
    }
    __syncthreads();  // keys and values are read no more
  }

#pragma unroll
  for (int h = 0; h < 2; h++) {
    if (query[h] >= p.queries) continue;
    const int64_t row = p.q0 + query[h];
#pragma unroll
    for (int n = 0; n < kDim / 8; n++) {
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int d = n * 8 + quad * 2 + e;
        if (d < a.head_dim) a.out.set(row, column + d, out[n][2 * h + e] / sum[h]);
      }
    }
    if (a.log_sum_exp.data != nullptr && quad == 0) {
      a.log_sum_exp.row(row)[head] = largest[h] + logf(sum[h]);
    }
  }
}

// ------------------------------------------------------------------ float32

constexpr int kSmallTile = 32;
constexpr int kFloatThreads = 256;
constexpr int kShare = kFloatThreads / kSmallTile;  // threads that have a query

template <int kDim>
__global__ void __launch_bounds__(kFloatThreads) attention_float_kernel(Arguments a) {
  constexpr int kStride = kDim + 1;
  DynamicShared dynamic;
  const Shared<float> qs = dynamic.take<float>(kSmallTile * kStride);
  const Shared<float> ks = dynamic.take<float>(kSmallTile * kStride);
  const Shared<float> vs = dynamic.take<float>(kSmallTile * kStride);
  const Shared<float> ps = dynamic.take<float>(kSmallTile * (kSmallTile + 1));
  const Shared<float> biases = dynamic.take<float>(kBiasValues);
  const Place p = find_place<kSmallTile>(a);
  if (p.first >= p.queries) return;
  const int head = static_cast<int>(blockIdx.y), column = head * a.head_dim;
  auto load_tile = [&](const Shared<float>& tile, const AnyMatrix& from, int64_t row0, int first,
                       int end) {
    for (int e = thread(); e < kSmallTile * kDim; e += kFloatThreads) {
      const int row = e / kDim, d = e % kDim;
      const bool wanted = first + row < end && d < a.head_dim;
      tile[row * kStride + d] = wanted ? from.get(row0 + first + row, column + d) : 0.0f;
    }
  };
  load_tile(qs, a.q, p.q0, p.first, p.queries);
  fill_bias_values(a.bias, head, kFloatThreads, biases);
  const int mine = thread() / kShare, part = thread() % kShare, query = p.first + mine;
  const int visible = visible_keys(a, p, query);
  const int end = visible_keys(a, p, p.first + kSmallTile - 1);
  float largest = -INFINITY, sum = 0, out[kDim / kShare] = {};
  for (int first = 0; first < end; first += kSmallTile) {
    __syncthreads();
    load_tile(ks, a.k, p.k0, first, p.keys);
    load_tile(vs, a.v, p.k0, first, p.keys);
    __syncthreads();
    float score[kSmallTile / kShare], most = largest;
#pragma unroll
    for (int i = 0; i < kSmallTile / kShare; i++) {
      const int j = part + i * kShare, key = first + j;
      float dot = 0;
#pragma unroll 8
      for (int d = 0; d < kDim; d++) dot = fmaf(qs[mine * kStride + d], ks[j * kStride + d], dot);
      score[i] = dot * a.scale;
      if (a.bias.data != nullptr) score[i] += bias_value(a.bias, head, biases, key - query);
      if (key >= visible) score[i] = -INFINITY;
      most = score[i] > most ? score[i] : most;
    }
#pragma unroll
    for (int d = 1; d < kShare; d *= 2) {
      const float other = __shfl_xor_sync(kAllLanes, most, d);
      most = other > most ? other : most;
    }
    const float keep = largest == -INFINITY ? 0.0f : expf(largest - most);
    largest = most;
    float tile_sum = 0;
#pragma unroll
    for (int i = 0; i < kSmallTile / kShare; i++) {
      const int j = part + i * kShare;
      score[i] = expf(score[i] - most);
      tile_sum += score[i];
      if (a.drop_below > 0) {
        const uint64_t index = attention_dropout_index(p.q0 + query, a.heads, head, first + j);
        const bool kept = dropout_keeps(a.seed, a.offset, index, a.drop_below);
        score[i] = kept ? score[i] * a.kept_scale : 0.0f;
      }
      ps[mine * (kSmallTile + 1) + j] = score[i];
    }
#pragma unroll
    for (int d = 1; d < kShare; d *= 2) tile_sum += __shfl_xor_sync(kAllLanes, tile_sum, d);
    sum = sum * keep + tile_sum;
    __syncwarp();  // a query's threads are of one warp; the shuffles above order no memory
#pragma unroll
    for (int i = 0; i < kDim / kShare; i++) {
      out[i] *= keep;
#pragma unroll 4
      for (int j = 0; j < kSmallTile; j++) {
        out[i] = fmaf(ps[mine * (kSmallTile + 1) + j], vs[j * kStride + part + i * kShare], out[i]);
      }
    }
  }
  if (query >= p.queries) return;
#pragma unroll
  for (int i = 0; i < kDim / kShare; i++) {
    const int d = part + i * kShare;
    if (d < a.head_dim) a.out.set(p.q0 + query, column + d, out[i] / sum);
  }
  if (a.log_sum_exp.data != nullptr && part == 0) {
    a.log_sum_exp.row(p.q0 + query)[head] = largest + logf(sum);
  }
}

template <int kDim>
cudaError_t run(CudaContext& context, const Arguments& args, int64_t queries, bool bf16) {
  const uint32_t heads = static_cast<uint32_t>(args.heads);
  if (bf16) {
    const size_t bytes =
        3 * shared_bytes<Bf16>(kTile * (kDim + kEight)) + shared_bytes<float>(kBiasValues);
    return launch("attention", attention_kernel<kDim>,
                  dim3(sequence_tiles<kTile>(queries, args.sequences), heads), kThreads, bytes,
                  context.stream, args);
  }
  const size_t bytes = 3 * shared_bytes<float>(kSmallTile * (kDim + 1)) +
                       shared_bytes<float>(kSmallTile * (kSmallTile + 1)) +
                       shared_bytes<float>(kBiasValues);
  return launch("attention, float32", attention_float_kernel<kDim>,
                dim3(sequence_tiles<kSmallTile>(queries, args.sequences), heads), kFloatThreads,
                bytes, context.stream, args);
}

}  // namespace

cudaError_t attention_cuda(CudaContext& context, const precis_attention_args& a) {
  if (rows(a.q) == 0 || a.sequences == 0) return cudaSuccess;
  const Arguments args = {any_matrix(a.q),
                          any_matrix(a.k),
                          any_matrix(a.v),
                          any_matrix(a.out),
                          matrix<float>(a.log_sum_exp),
                          a.query_offsets,
                          a.key_offsets,
                          bias_table(a.bias, a.max_distance, a.bidirectional != 0),
                          a.seed,
                          a.offset,
                          a.dropout > 0 ? dropout_threshold(a.dropout) : 0,
                          static_cast<float>(1 / (1 - static_cast<double>(a.dropout))),
                          a.scale,
                          a.sequences,
                          a.heads,
                          static_cast<int32_t>(columns(a.q) / a.heads),
                          a.causal != 0};
  const bool bf16 = a.q.dtype == PRECIS_BFLOAT16;
  if (args.head_dim <= 64) return run<64>(context, args, rows(a.q), bf16);
  if (args.head_dim <= 128) return run<128>(context, args, rows(a.q), bf16);
  if (args.head_dim <= kMaxHeadDim) return run<kMaxHeadDim>(context, args, rows(a.q), bf16);
  return cudaErrorInvalidValue;
}

}  // namespace precis
