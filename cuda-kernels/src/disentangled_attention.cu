// score[i, j, h] = scale (q[i, h] . k[j, h] + q[i, h] . position_keys[r, h]
//                         + k[j, h] . position_queries[r, h])
// out[i, h] = sum_j softmax_j(score[i, j, h]) v[j, h]
//                                                          native/src/ops/disentangled_attention.h
//
// As attention.cu's float32 kernel: one pass over keys and values with a running maximum and sum
// for each query, eight threads to a query, tiles of queries and keys of equal size. Such a pair of
// tiles has fewer than two tiles' rows of relative positions, which lie in shared memory beside
// keys and values. Plain fused multiply-adds for bfloat16 too.
//
// Not tried: tensor cores for the three products, the two of positions as products of whole tiles
// whose diagonals are read from shared memory.
#include "device.h"
#include "kernels.h"
#include "ops/disentangled_attention.h"
#include "sequence_tiles.cuh"

namespace precis {
namespace {

constexpr int kRowThreads = 8;
// Queries of a block, and keys of a tile: the wider a head, the fewer fit into shared memory.
template <int kDim>
constexpr int kTileRows = 2048 / kDim;
// Relative positions in a tile of queries and one of keys.
template <int kDim>
constexpr int kDistances = 2 * kTileRows<kDim> - 1;

struct Arguments {
  AnyMatrix q, k, v, out, position_keys, position_queries;
  const int32_t* offsets;
  int64_t key_reach, query_reach;
  float scale;
  int32_t sequences, head_dim;
};

// Copies `rows` rows of a head into shared memory, with zeros from column head_dim on; row_of(i) is
// the row of the matrix that becomes row i, negative: a row of zeros.
template <int kDim, class RowOf>
__device__ __forceinline__ void load_rows(const Shared<float>& to, const AnyMatrix& from, int rows,
                                          int column, int head_dim, const RowOf& row_of) {
  for (int e = thread(); e < rows * kDim; e += kTileRows<kDim> * kRowThreads) {
    const int i = e / kDim, d = e % kDim;
    const int64_t row = row_of(i);
    to[i * (kDim + 1) + d] = row >= 0 && d < head_dim ? from.get(row, column + d) : 0.0f;
  }
}

template <int kDim>
__global__ void __launch_bounds__(kTileRows<kDim>* kRowThreads)
    disentangled_attention_kernel(Arguments a) {
  constexpr int kN = kTileRows<kDim>, kStride = kDim + 1;
  DynamicShared dynamic;
  const Shared<float> qs = dynamic.take<float>(kN * kStride);
  const Shared<float> ks = dynamic.take<float>(kN * kStride);
  const Shared<float> vs = dynamic.take<float>(kN * kStride);
  const Shared<float> position_keys = dynamic.take<float>(kDistances<kDim> * kStride);
  const Shared<float> position_queries = dynamic.take<float>(kDistances<kDim> * kStride);
  const Shared<float> ps = dynamic.take<float>(kN * (kN + 1));
  const SequenceTile tile =
      find_sequence_tile<kN>(a.offsets, a.sequences, static_cast<int>(blockIdx.x));
  const int64_t begin = a.offsets[tile.sequence];
  const int n = a.offsets[tile.sequence + 1] - static_cast<int>(begin);
  if (tile.first >= n) return;
  const int column = static_cast<int>(blockIdx.y) * a.head_dim;
  const auto rows_from = [&](int first) {
    return [=](int i) { return first + i < n ? begin + first + i : int64_t{-1}; };
  };
  load_rows<kDim>(qs, a.q, kN, column, a.head_dim, rows_from(tile.first));
  const int mine = thread() / kRowThreads, part = thread() % kRowThreads;
  float largest = -INFINITY, sum = 0, out[kDim / kRowThreads] = {};
  for (int first = 0; first < n; first += kN) {
    __syncthreads();
    load_rows<kDim>(ks, a.k, kN, column, a.head_dim, rows_from(first));
    load_rows<kDim>(vs, a.v, kN, column, a.head_dim, rows_from(first));
    // Row w is the distance of query i from key j with w = i - j + kN - 1, both in their tiles.
    const int nearest = tile.first - first - (kN - 1);
    if (a.position_keys.data != nullptr) {
      load_rows<kDim>(position_keys, a.position_keys, kDistances<kDim>, column, a.head_dim,
                      [&](int w) { return relative_row(nearest + w, a.key_reach); });
    }
    if (a.position_queries.data != nullptr) {
      load_rows<kDim>(position_queries, a.position_queries, kDistances<kDim>, column, a.head_dim,
                      [&](int w) { return relative_row(nearest + w, a.query_reach); });
    }
    __syncthreads();
    float score[kN / kRowThreads], most = largest;
#pragma unroll
    for (int i = 0; i < kN / kRowThreads; i++) {
      const int j = part + i * kRowThreads, q0 = mine * kStride, k0 = j * kStride;
      const int w0 = (mine - j + kN - 1) * kStride;
      float dot = 0;
#pragma unroll 8
      for (int d = 0; d < kDim; d++) dot = fmaf(qs[q0 + d], ks[k0 + d], dot);
      if (a.position_keys.data != nullptr) {
#pragma unroll 8
        for (int d = 0; d < kDim; d++) dot = fmaf(qs[q0 + d], position_keys[w0 + d], dot);
      }
      if (a.position_queries.data != nullptr) {
#pragma unroll 8
        for (int d = 0; d < kDim; d++) dot = fmaf(ks[k0 + d], position_queries[w0 + d], dot);
      }
      score[i] = first + j < n ? dot * a.scale : -INFINITY;
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
#pragma unroll
    for (int i = 0; i < kN / kRowThreads; i++) {
      score[i] = expf(score[i] - most);
      tile_sum += score[i];
      ps[mine * (kN + 1) + part + i * kRowThreads] = score[i];
    }
#pragma unroll
    for (int d = 1; d < kRowThreads; d *= 2) tile_sum += __shfl_xor_sync(kAllLanes, tile_sum, d);
    sum = sum * keep + tile_sum;
    __syncwarp();  // a query's threads are in one warp; the shuffles above do not order memory
#pragma unroll
    for (int i = 0; i < kDim / kRowThreads; i++) {
      out[i] *= keep;
#pragma unroll 4
      for (int j = 0; j < kN; j++) {
        out[i] = fmaf(ps[mine * (kN + 1) + j], vs[j * kStride + part + i * kRowThreads], out[i]);
      }
    }
  }
  if (tile.first + mine >= n) return;
#pragma unroll
  for (int i = 0; i < kDim / kRowThreads; i++) {
    const int d = part + i * kRowThreads;
    if (d < a.head_dim) a.out.set(begin + tile.first + mine, column + d, out[i] / sum);
  }
}

template <int kDim>
cudaError_t run(CudaContext& context, const Arguments& args, int64_t tokens, int32_t heads) {
  constexpr int kN = kTileRows<kDim>;
  const size_t bytes = 3 * shared_bytes<float>(kN * (kDim + 1)) +
                       2 * shared_bytes<float>(kDistances<kDim> * (kDim + 1)) +
                       shared_bytes<float>(kN * (kN + 1));
  return launch("disentangled attention", disentangled_attention_kernel<kDim>,
                dim3(sequence_tiles<kN>(tokens, args.sequences), static_cast<uint32_t>(heads)),
                kN * kRowThreads, bytes, context.stream, args);
}

}  // namespace

cudaError_t disentangled_attention_cuda(CudaContext& context,
                                        const precis_disentangled_attention_args& a) {
  if (rows(a.q) == 0 || a.sequences == 0) return cudaSuccess;
  const int32_t head_dim = static_cast<int32_t>(columns(a.q) / a.heads);
  const Arguments args = {any_matrix(a.q),
                          any_matrix(a.k),
                          any_matrix(a.v),
                          any_matrix(a.out),
                          any_matrix(a.position_keys),
                          any_matrix(a.position_queries),
                          a.offsets,
                          rows(a.position_keys) / 2,
                          rows(a.position_queries) / 2,
                          a.scale,
                          a.sequences,
                          head_dim};
  if (head_dim <= 64) return run<64>(context, args, rows(a.q), a.heads);
  if (head_dim <= 128) return run<128>(context, args, rows(a.q), a.heads);
  if (head_dim <= kMaxHeadDim) return run<kMaxHeadDim>(context, args, rows(a.q), a.heads);
  return cudaErrorInvalidValue;
}

}  // namespace precis
