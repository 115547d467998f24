// The parts of attention over whole sequences and of its gradients: a block's position, tiles of
// heads in shared memory, and products of tiles on tensor cores.
//
// A warp has 16 rows of a product. With g = lane / 4 and t = lane mod 4, a lane has rows g and g +
// 8 (h = 0 and 1), and of every eight columns the columns 2 t and 2 t + 1 (e = 0 and 1): c[n][2 h +
// e] is row g + 8 h, column 8 n + 2 t + e.
#ifndef PRECIS_CUDA_ATTENTION_TILES_CUH_
#define PRECIS_CUDA_ATTENTION_TILES_CUH_

#include "device.h"
#include "dropout.cuh"
#include "relative_bias.cuh"
#include "sequence_tiles.cuh"

namespace precis {

// The rows and threads of a block of the tensor core kernels: four warps of 16 rows.
constexpr int kTile = 64;
constexpr int kThreads = 128;
// The same for the float32 kernels: eight threads to a row.
constexpr int kSmallTile = 32;
constexpr int kFloatThreads = 256;
constexpr int kRowThreads = kFloatThreads / kSmallTile;

struct AttentionArguments {
  AnyMatrix q, k, v, out;
  Matrix<float> log_sum_exp;
  const int32_t* query_offsets;
  const int32_t* key_offsets;
  BiasTable bias;
  uint64_t seed, offset;
  const int64_t* dropout_rows;  // nullptr: rows of q
  int64_t queries;              // of all sequences
  uint32_t drop_below;          // 0: no dropout
  float kept_scale;             // 1 / (1 - dropout)
  float scale;
  int32_t sequences, heads, head_dim;
  bool causal;
};

static inline AttentionArguments attention_arguments(const precis_attention_args& a) {
  return {any_matrix(a.q),
          any_matrix(a.k),
          any_matrix(a.v),
          any_matrix(a.out),
          matrix<float>(a.log_sum_exp),
          a.query_offsets,
          a.key_offsets,
          bias_table(a.bias, a.max_distance, a.bidirectional != 0),
          a.seed,
          a.offset,
          static_cast<const int64_t*>(a.dropout_rows.data),
          rows(a.q),
          a.dropout > 0 ? dropout_threshold(a.dropout) : 0,
          dropout_scale(a.dropout),
          a.scale,
          a.sequences,
          a.heads,
          static_cast<int32_t>(columns(a.q) / a.heads),
          a.causal != 0};
}

// Returns the row of the mask that belongs to a row of q; rows beyond the last query get any.
__device__ __forceinline__ DropoutRow dropout_row(const AttentionArguments& a, int64_t row) {
  return dropout_row(a.dropout_rows, min(row, a.queries - 1), a.offset);
}

// The rows that a block works on.
struct Place {
  int64_t q0, k0;     // first row of the sequence in q and in k
  int first;          // query or key of the sequence
  int queries, keys;  // of the sequence
};

// The block's tile, of queries or else of keys.
template <int kRows, bool kOfQueries>
__device__ __forceinline__ Place find_place(const AttentionArguments& a) {
  const SequenceTile t = find_sequence_tile<kRows>(kOfQueries ? a.query_offsets : a.key_offsets,
                                                   a.sequences, static_cast<int>(blockIdx.x));
  Place p;
  p.q0 = a.query_offsets[t.sequence];
  p.k0 = a.key_offsets[t.sequence];
  p.first = t.first;
  p.queries = a.query_offsets[t.sequence + 1] - static_cast<int>(p.q0);
  p.keys = a.key_offsets[t.sequence + 1] - static_cast<int>(p.k0);
  return p;
}

// The number of keys that a query attends to at most.
__device__ __forceinline__ int visible_keys(const AttentionArguments& a, const Place& p,
                                            int query) {
  return a.causal && query + 1 < p.keys ? query + 1 : p.keys;
}

// ------------------------------------------------------------------ tensor cores

// Keys of a tile.
template <int kDim>
constexpr int kKeys = kDim > 128 ? 32 : 64;

// Tiles of keys and values that attention holds: the next is copied while one is computed, but
// where heads are wide two do not fit into the 99 KiB of sm_86 and sm_89.
template <int kDim>
constexpr int kStages = kDim > 128 ? 1 : 2;

// From row to row of a tile, in elements; the padding avoids bank conflicts between eight rows.
template <int kDim>
constexpr int kTileStride = kDim + kEight;

struct InOrder {
  __device__ __forceinline__ int operator()(int slot) const { return slot; }
};

// Copies rows [first, first + kRows) of a sequence's head into a tile, as bfloat16, with zeros from
// row end and column head_dim on. Row order(i) becomes the tile's row i. Aligned bfloat16 elements
// are copied asynchronously; the caller commits.
template <int kDim, int kRows, class Order = InOrder>
__device__ __forceinline__ void copy_tile(const Shared<Bf16>& tile, const AnyMatrix& from,
                                          int64_t row0, int first, int end, int column,
                                          int head_dim, const Order& order = Order()) {
  constexpr int kEights = kDim / kEight;
#pragma unroll 2
  for (int e = thread(); e < kRows * kEights; e += kThreads) {
    const int slot = e / kEights, d = e % kEights * kEight, row = first + order(slot);
    Bf16* to = tile.at(slot * kTileStride<kDim> + d, kEight);
    const bool wanted = row < end && d < head_dim;
    const Bf16* source = static_cast<const Bf16*>(from.data) +
                         (wanted ? (row0 + row) * from.stride + column + d : 0);
    if (!wanted || (from.bf16 && d + kEight <= head_dim && is_aligned(source))) {
      copy_async(to, wanted ? source : from.data, wanted);
    } else {
      float v[kEight];
      from.load(row0 + row, column + d, up_to_eight(head_dim - d), v);
      store8(to, kEight, v);
    }
  }
}

// Starts the copy of a tile of two matrices with the same rows, such as keys and values, as one
// group of asynchronous copies.
template <int kDim, int kRows>
__device__ __forceinline__ void copy_tiles(const Shared<Bf16>& x_tile, const AnyMatrix& x,
                                           const Shared<Bf16>& y_tile, const AnyMatrix& y,
                                           int64_t row0, int first, int end, int column,
                                           int head_dim) {
  copy_tile<kDim, kRows>(x_tile, x, row0, first, end, column, head_dim);
  copy_tile<kDim, kRows>(y_tile, y, row0, first, end, column, head_dim);
  copy_async_commit();
}

// c += a b' for the warp's rows of a and kRows rows of b, both kDim wide.
template <int kDim, int kRows>
__device__ __forceinline__ void multiply_transposed(const Shared<Bf16>& a, const Shared<Bf16>& b,
                                                    float (&c)[kRows / 8][4]) {
  constexpr int kStride = kTileStride<kDim>;
  const int warp_row = thread() / 32 * 16;
#pragma unroll 4
  for (int d = 0; d < kDim; d += 16) {
    uint32_t af[4];
    load_a(a, kStride, warp_row, d, af);
#pragma unroll
    for (int n = 0; n < kRows / 8; n += 2) {
      uint32_t bf[4];
      load_b(b, kStride, n * 8, d, bf);
      mma_bf16(c[n], af, bf[0], bf[1]);
      mma_bf16(c[n + 1], af, bf[2], bf[3]);
    }
  }
}

// Rounds a product to bfloat16. In the layout that mma leaves it, it is the left operand of the
// next.
template <int kColumns>
__device__ __forceinline__ void pack(const float (&c)[kColumns / 8][4],
                                     uint32_t (&packed)[kColumns / 16][4]) {
#pragma unroll
  for (int k = 0; k < kColumns / 16; k++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      packed[k][i] = pack_bf16(c[2 * k + i / 2][i % 2 * 2], c[2 * k + i / 2][i % 2 * 2 + 1]);
    }
  }
}

// c += a b for kRows rows of b and its columns [column, column + kColumns).
template <int kDim, int kRows, int kColumns>
__device__ __forceinline__ void multiply(const uint32_t (&a)[kRows / 16][4], const Shared<Bf16>& b,
                                         int column, float (&c)[kColumns / 8][4]) {
  const int lane = thread() % 32;
#pragma unroll
  for (int k = 0; k < kRows / 16; k++) {
#pragma unroll
    for (int n = 0; n < kColumns / 8; n += 2) {
      uint32_t bf[4];
      load_matrices<true>(
          b.at((k * 16 + lane % 16) * kTileStride<kDim> + column + n * 8 + lane / 16 * kEight,
               kEight),
          bf);
      mma_bf16(c[n], a[k], bf[0], bf[1]);
      mma_bf16(c[n + 1], a[k], bf[2], bf[3]);
    }
  }
}

// Stores scale times the half h of a warp's rows to the lane's row m, columns [column, column +
// width), if wanted. The four lanes of a row first exchange elements so that each has eight
// neighbors.
template <int kColumns>
__device__ __forceinline__ void save_rows(const AnyMatrix& to, bool wanted, int64_t m, int column,
                                          int width, float scale, int h,
                                          const float (&c)[kColumns / 8][4]) {
  const int t = thread() % 4;
#pragma unroll
  for (int n = 0; n < kColumns / 8; n += 4) {
    float v[4][2];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      v[i][0] = c[n + i][2 * h] * scale;
      v[i][1] = c[n + i][2 * h + 1] * scale;
    }
#pragma unroll
    for (int d = 1; d < 4; d *= 2) {
      const bool upper = (t & d) != 0;
#pragma unroll
      for (int i = 0; i < 4; i++) {
        if ((i & d) != 0) continue;
#pragma unroll
        for (int e = 0; e < 2; e++) {
          const float other = __shfl_xor_sync(kAllLanes, upper ? v[i][e] : v[i + d][e], d);
          v[i][e] = upper ? other : v[i][e];
          v[i + d][e] = upper ? v[i + d][e] : other;
        }
      }
    }
    const int first = (n + t) * 8, count = up_to_eight(width - first);
    const float eight[kEight] = {v[0][0], v[0][1], v[1][0], v[1][1],
                                 v[2][0], v[2][1], v[3][0], v[3][1]};
    if (wanted && count > 0) to.save(m, column + first, count, eight);
  }
}

// Calls f(n, e, word) for the lane's columns of a row of probabilities, for the keys [first, first
// + kKeys) and a query's row of q; word decides whether the probability is dropped. One call of
// Philox serves the keys i, i + 16, i + 32 and i + 48 of 64.
template <int kKeys, class F>
__device__ __forceinline__ void for_dropout_words(const AttentionArguments& a, int64_t row,
                                                  int head, int first, const F& f) {
  const int lane_column = thread() % 4 * 2;
  const DropoutRow of = dropout_row(a, row);
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int key = first + i / 2 * 8 + lane_column + i % 2;
    const Philox random =
        dropout_philox(a.seed, of.offset, attention_dropout_index(of.row, a.heads, head, key));
    const bool upper = kKeys == 32 && first % 64 != 0;
#pragma unroll
    for (int w = 0; w < kKeys / 16; w++) {
      f(2 * w + i / 2, i % 2, upper ? random.word[(w + 2) % 4] : random.word[w]);
    }
  }
}

// ------------------------------------------------------------------ float32

// Like copy_tile, but in float32 and synchronous.
template <int kDim>
__device__ __forceinline__ void load_tile(const Shared<float>& tile, const AnyMatrix& from,
                                          int64_t row0, int first, int end, int column,
                                          int head_dim) {
#pragma unroll 4
  for (int e = thread(); e < kSmallTile * kDim; e += kFloatThreads) {
    const int row = e / kDim, d = e % kDim;
    const bool wanted = first + row < end && d < head_dim;
    tile[row * (kDim + 1) + d] = wanted ? from.get(row0 + first + row, column + d) : 0.0f;
  }
}

}  // namespace precis

#endif  // PRECIS_CUDA_ATTENTION_TILES_CUH_
