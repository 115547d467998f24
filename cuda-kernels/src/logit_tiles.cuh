// The tiles of the products behind the losses over the vocabulary; logit_rows.cuh describes them.
//
// bfloat16: the portable tensor core path, for sm_80 and later. Both operands are bfloat16 in
// global memory with their depth padded, so both come by cp.async, several stages in advance, with
// one barrier a step. Shared memory is swizzled instead of padded: the groups of eight elements of
// a row are permuted by the row's number, so that those of eight rows lie in different banks. There
// are two tiles: 128 x 128 of eight warps in steps of 32, two blocks per multiprocessor; and 16 x
// 128 of four warps in steps of 64 for few rows, where w has to be read at the full bandwidth:
// three steps of 16 KB are in flight in each of two blocks. In both a warp has 32 columns and its
// sums run through the depth in steps of 16.
//
// float32: plain fused multiply-adds, tiles of 64 x 64; a reference mode that is not tuned for
// speed.
#ifndef PRECIS_CUDA_LOGIT_TILES_CUH_
#define PRECIS_CUDA_LOGIT_TILES_CUH_

#include "device.h"

namespace precis {

// A row-major operand in global memory; elements outside its rows and columns read as zero.
template <class T>
struct Operand {
  const T* data;
  int64_t stride, rows, columns;
};

// ------------------------------------------------------------------ tiles
//
// A tile has kRows x kColumns results, of which a thread has those in rows row(i) and columns
// column(j). A row's results are spread over kLanes neighboring threads in each of kWarpsN warps.
// multiply adds a b' over the depths [k0, k1), or a' b if kTransposed, for the tile whose results
// start at row row0 and column column0 of the product.

template <int kRowsOfTile, int kWarpsM, int kDepth, int kStages>
struct MmaTile {
  using Element = Bf16;
  static constexpr int kRows = kRowsOfTile, kColumns = 128, kWarpsN = 4, kLanes = 4;
  static constexpr int kThreads = kWarpsM * kWarpsN * 32;
  static constexpr int kTilesM = kRows / kWarpsM / 16, kTilesN = kColumns / kWarpsN / 8;
  static constexpr int kThreadRows = 2 * kTilesM, kThreadColumns = 2 * kTilesN;
  static constexpr int kStage = (kRows + kColumns) * kDepth;
  static constexpr size_t kSharedBytes = shared_bytes<Bf16>(kStages * kStage);

  float sum[kTilesM][kTilesN][4] = {};

  __device__ __forceinline__ float& at(int i, int j) {
    return sum[i / 2][j / 2][i % 2 * 2 + j % 2];
  }
  static __device__ __forceinline__ int warp_row() {
    return thread() / 32 / kWarpsN * (kRows / kWarpsM);
  }
  static __device__ __forceinline__ int warp_column() {
    return thread() / 32 % kWarpsN * (kColumns / kWarpsN);
  }
  static __device__ __forceinline__ int row(int i) {
    return warp_row() + i / 2 * 16 + i % 2 * 8 + thread() % 32 / 4;
  }
  static __device__ __forceinline__ int column(int j) {
    return warp_column() + j / 2 * 8 + thread() % 4 * 2 + j % 2;
  }

  // The swizzled address of eight elements in a part of shared memory with rows of kWidth.
  template <int kWidth>
  static __device__ __forceinline__ Bf16* eight(const Shared<Bf16>& part, int row, int column) {
    constexpr int kEights = kWidth / kEight < 8 ? kWidth / kEight : 8, kSame = 8 / kEights;
    const int permuted = column / kEight ^ row / kSame % kEights;
    return part.at(row * kWidth + permuted * kEight, kEight);
  }
  template <int kHeight, int kWidth>
  static __device__ __forceinline__ void copy(const Shared<Bf16>& part, const Operand<Bf16>& from,
                                              int64_t row0, int64_t column0) {
    constexpr int kPerRow = kWidth / kEight;
    static_assert(kHeight * kPerRow % kThreads == 0);
#pragma unroll
    for (int i = 0; i < kHeight * kPerRow / kThreads; i++) {
      const int e = thread() + i * kThreads, row = e / kPerRow, column = e % kPerRow * kEight;
      const bool wanted = row0 + row < from.rows && column0 + column < from.columns;
      const int64_t at = wanted ? (row0 + row) * from.stride + column0 + column : 0;
      copy_async(eight<kWidth>(part, row, column), from.data + at, wanted);
    }
  }

  template <bool kTransposed>
  __device__ __forceinline__ void multiply(const Operand<Bf16>& a, const Operand<Bf16>& b,
                                           int64_t row0, int64_t column0, int64_t k0, int64_t k1) {
    DynamicShared dynamic;
    const Shared<Bf16> memory = dynamic.take<Bf16>(kStages * kStage);
    auto part_a = [&](int stage) { return memory.part(stage * kStage, kRows * kDepth); };
    auto part_b = [&](int stage) {
      return memory.part(stage * kStage + kRows * kDepth, kColumns * kDepth);
    };
    const int steps = static_cast<int>((k1 - k0 + kDepth - 1) / kDepth);
    auto copy_step = [&](int step) {
      if (step < steps) {
        const int stage = step % kStages;
        const int64_t k = k0 + int64_t{step} * kDepth;
        if constexpr (kTransposed) {
          copy<kDepth, kRows>(part_a(stage), a, k, row0);
          copy<kDepth, kColumns>(part_b(stage), b, k, column0);
        } else {
          copy<kRows, kDepth>(part_a(stage), a, row0, k);
          copy<kColumns, kDepth>(part_b(stage), b, column0, k);
        }
      }
      copy_async_commit();
    };
    const int lane = thread() % 32, warp_m = warp_row(), warp_n = warp_column();
    for (int step = 0; step < kStages - 1; step++) copy_step(step);
    for (int step = 0; step < steps; step++) {
      copy_async_wait<kStages - 2>();
      __syncthreads();  // this step has arrived, and no thread reads the last one any more
      copy_step(step + kStages - 1);
      const Shared<Bf16> as = part_a(step % kStages), bs = part_b(step % kStages);
#pragma unroll
      for (int k = 0; k < kDepth; k += 16) {
        uint32_t af[kTilesM][4], bf[4];
#pragma unroll
        for (int i = 0; i < kTilesM; i++) {
          const int m = warp_m + i * 16;
          load_matrices<kTransposed>(
              kTransposed
                  ? eight<kRows>(as, k + lane % 8 + lane / 16 * 8, m + lane / 8 % 2 * kEight)
                  : eight<kDepth>(as, m + lane % 16, k + lane / 16 * kEight),
              af[i]);
        }
#pragma unroll
        for (int j = 0; j < kTilesN; j += 2) {
          const int n = warp_n + j * 8;
          load_matrices<kTransposed>(
              kTransposed
                  ? eight<kColumns>(bs, k + lane % 16, n + lane / 16 * kEight)
                  : eight<kDepth>(bs, n + lane % 8 + lane / 16 * 8, k + lane / 8 % 2 * kEight),
              bf);
#pragma unroll
          for (int i = 0; i < kTilesM; i++) {
            mma_bf16(sum[i][j], af[i], bf[0], bf[1]);
            mma_bf16(sum[i][j + 1], af[i], bf[2], bf[3]);
          }
        }
      }
    }
  }
};
using ManyRows = MmaTile<128, 2, 32, 4>;
using FewRows = MmaTile<16, 1, 64, 4>;
constexpr int64_t kFewLogitRows = 32;  // the most rows that use FewRows

struct FmaTile {
  using Element = float;
  static constexpr int kRows = 64, kColumns = 64, kWarpsN = 1, kLanes = 16, kThreads = 256;
  static constexpr int kThreadRows = 4, kThreadColumns = 4, kDepth = 16, kPadded = 64 + 4;
  static constexpr size_t kSharedBytes = 0;

  float sum[kThreadRows][kThreadColumns] = {};

  __device__ __forceinline__ float& at(int i, int j) { return sum[i][j]; }
  static __device__ __forceinline__ int row(int i) { return thread() / 16 * 4 + i; }
  static __device__ __forceinline__ int column(int j) { return thread() % 16 * 4 + j; }

  template <bool kTransposed>
  static __device__ void load(const Shared<float>& part, const Operand<float>& from, int64_t row0,
                              int64_t k0, int64_t k1) {
    for (int e = thread(); e < 64 * kDepth; e += kThreads) {
      const int i = kTransposed ? e % 64 : e / kDepth, k = kTransposed ? e / 64 : e % kDepth;
      const int64_t r = kTransposed ? k0 + k : row0 + i, c = kTransposed ? row0 + i : k0 + k;
      const bool inside = k0 + k < k1 && r < from.rows && c < from.columns;
      part[k * kPadded + i] = inside ? from.data[r * from.stride + c] : 0.0f;
    }
  }
  template <bool kTransposed>
  __device__ void multiply(const Operand<float>& a, const Operand<float>& b, int64_t row0,
                           int64_t column0, int64_t k0, int64_t k1) {
    PRECIS_SHARED(float, as, kDepth* kPadded);
    PRECIS_SHARED(float, bs, kDepth* kPadded);
    for (; k0 < k1; k0 += kDepth) {
      __syncthreads();  // no thread reads the last step's parts any more
      load<kTransposed>(as, a, row0, k0, k1);
      load<kTransposed>(bs, b, column0, k0, k1);
      __syncthreads();
      for (int k = 0; k < kDepth; k++) {
#pragma unroll
        for (int i = 0; i < kThreadRows; i++) {
#pragma unroll
          for (int j = 0; j < kThreadColumns; j++) {
            sum[i][j] = fmaf(as[k * kPadded + row(i)], bs[k * kPadded + column(j)], sum[i][j]);
          }
        }
      }
    }
  }
};

// Stores two elements at an even index of an aligned row.
__device__ __forceinline__ void store2(float* p, float low, float high) {
#if defined(__CUDACC__)
  *reinterpret_cast<float2*>(p) = make_float2(low, high);
#else
  p[0] = low;
  p[1] = high;
#endif
}

// A product and a sum that nvcc never contracts to a fused multiply-add. It may contract in one
// instance of a kernel and not in another, and then a row's bits would depend on the tile.
__device__ __forceinline__ float rounded_product(float a, float b) {
#if defined(__CUDACC__)
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}
__device__ __forceinline__ float rounded_sum(float a, float b) {
#if defined(__CUDACC__)
  return __fadd_rn(a, b);
#else
  return a + b;
#endif
}

}  // namespace precis

#endif  // PRECIS_CUDA_LOGIT_TILES_CUH_
