// What the kernels of the fused LoRA product share: lora_matmul.cu and lora_matmul_wgmma.cu.
#ifndef PRECIS_CUDA_LORA_MATMUL_CUH_
#define PRECIS_CUDA_LORA_MATMUL_CUH_

#include "kernels.h"

namespace precis {

// What the kernels get. Without adapters segment_count is 0 and a and b are empty.
struct Product {
  AnyMatrix x, z, y;
  float* down;
  int64_t down_stride;
  const void* w;
  const void* a;
  const void* b;
  int64_t w_stride, a_stride, b_stride;  // in elements
  int64_t w_rows, a_rows;                // padding included
  int64_t rows, outputs, inputs;
  int ranks;
  int segment_count;
  precis_lora_segment segments[4];
  float alpha;
  bool accumulate;
  bool separate_z;
  bool pairs;  // two neighbours of y, the first an even one, may be stored at once
};

// The factor of a column of down: that of the segments that have the rank.
__device__ __forceinline__ float scaling_of_rank(const Product& p, int rank) {
  for (int i = 0; i < p.segment_count; i++) {
    const precis_lora_segment& s = p.segments[i];
    if (rank >= s.rank_begin && rank < s.rank_end) return s.scaling;
  }
  return 0;
}

__device__ __forceinline__ void store_result(const Product& p, int64_t m, int64_t n, float sum) {
  if (m >= p.rows || n >= p.outputs) return;
  p.y.set(m, n, (p.accumulate ? p.y.get(m, n) : 0.0f) + p.alpha * sum);
}
// Of an even n and the next.
__device__ __forceinline__ void store_results(const Product& p, int64_t m, int64_t n, float first,
                                              float second) {
  if (!p.pairs || n + 1 >= p.outputs) {
    store_result(p, m, n, first);
    store_result(p, m, n + 1, second);
    return;
  }
  if (m >= p.rows) return;
  const int64_t at = m * p.y.stride + n;
  if (p.y.bf16) {  // never added to
    *reinterpret_cast<uint32_t*>(static_cast<Bf16*>(p.y.data) + at) =
        pack_bf16(p.alpha * first, p.alpha * second);
    return;
  }
  uint2* y = reinterpret_cast<uint2*>(static_cast<float*>(p.y.data) + at);
  uint2 v = {0, 0};
  if (p.accumulate) v = *y;
  v.x = __float_as_uint(__uint_as_float(v.x) + p.alpha * first);
  v.y = __float_as_uint(__uint_as_float(v.y) + p.alpha * second);
  *y = v;
}

// A fragment of 16 x 16 with its upper left corner there (the operand a of mma_bf16).
__device__ __forceinline__ void load_a(const Shared<Bf16>& tile, int stride, int row, int column,
                                       uint32_t (&f)[4]) {
  const int lane = thread() % 32;
  load_matrices<false>(tile.at((row + lane % 16) * stride + column + lane / 16 * kEight, kEight),
                       f);
}
// Two operands b, of the outputs [row, row + 8) and the next eight: f[0], f[1] and f[2], f[3].
__device__ __forceinline__ void load_b(const Shared<Bf16>& tile, int stride, int row, int column,
                                       uint32_t (&f)[4]) {
  const int lane = thread() % 32;
  load_matrices<false>(
      tile.at((row + lane % 8 + lane / 16 * 8) * stride + column + lane / 8 % 2 * kEight, kEight),
      f);
}

// ------------------------------------------------------------------ the low-rank part, bfloat16

// Of the scaled t and of B in shared memory, in elements.
PRECIS_HOST_DEVICE constexpr int rank_stride(int ranks) { return ranks + 8; }

// B's rows of the tile that begins at output n0, and of them what the segment has; by all threads.
template <int kColumns, int kRanks>
__device__ __forceinline__ void bring_up(const Product& p, const precis_lora_segment& s, int64_t n0,
                                         const Shared<Bf16>& bs) {
  constexpr int kPerRow = kRanks / kEight;
  for (int e = thread(); e < kColumns * kPerRow; e += static_cast<int>(blockDim.x)) {
    const int row = e / kPerRow, column = e % kPerRow * kEight;
    const int64_t n = n0 + row;
    const bool wanted = n >= s.output_begin && n < s.output_end && column < p.b_stride;
    float v[kEight];
    load8(static_cast<const Bf16*>(p.b) + (wanted ? n * p.b_stride + column : 0),
          wanted ? kEight : 0, v);
#pragma unroll
    for (int j = 0; j < kEight; j++) {
      // Not 0 times what another adapter has there, which may be NaN.
      if (column + j < s.rank_begin || column + j >= s.rank_end) v[j] = 0;
    }
    store8(bs.at(row * rank_stride(kRanks) + column, kEight), kEight, v);
  }
}

// Adds the product of sixteen ranks from k on to the warp's tiles sum(t, j) of y, which begin at the
// tile's column warp_n. a: of the scaled t.
template <int kTilesM, int kTilesN, class Sum>
__device__ __forceinline__ void add_ranks(const precis_lora_segment& s, const Shared<Bf16>& bs,
                                          int stride, int64_t n0, int warp_n, int k,
                                          const uint32_t (&a)[kTilesM][4], const Sum& sum) {
  uint32_t b[4];
#pragma unroll
  for (int j = 0; j < kTilesN; j += 2) {
    load_b(bs, stride, warp_n + j * 8, k, b);
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const int64_t n = n0 + warp_n + (j + h) * 8;
      if (n >= s.output_end || n + 8 <= s.output_begin) continue;
      const bool whole = n >= s.output_begin && n + 8 <= s.output_end;
#pragma unroll
      for (int t = 0; t < kTilesM; t++) {
        float(&to)[4] = sum(t, j + h);
        if (whole) {
          mma_bf16(to, a[t], b[2 * h], b[2 * h + 1]);
          continue;
        }
        // Where a segment ends, the outputs behind it get nothing, not even NaN times 0.
        float part[4] = {};
        mma_bf16(part, a[t], b[2 * h], b[2 * h + 1]);
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int64_t output = n + thread() % 4 * 2 + e % 2;
          if (output >= s.output_begin && output < s.output_end) to[e] += part[e];
        }
      }
    }
  }
}

// The same by wgmma and TMA, for sm_90a; bfloat16. *done is false where rows of x or z are not what
// the copy engine takes: then nothing happened.
cudaError_t lora_matmul_wgmma(CudaContext& context, const Product& p, bool* done);

}  // namespace precis

#endif  // PRECIS_CUDA_LORA_MATMUL_CUH_
