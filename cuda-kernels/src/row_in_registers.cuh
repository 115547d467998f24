// A row of float32 in the registers of a warp: lane l has the groups of eight elements l, l + 32,
// and so on. What fits in the registers, rows of up to 1024 elements, is read once; the rest is
// read again on each pass.
#ifndef PRECIS_CUDA_ROW_IN_REGISTERS_CUH_
#define PRECIS_CUDA_ROW_IN_REGISTERS_CUH_

#include "device.h"

namespace precis {

// One warp per row.
constexpr int kRowWarps = 4;  // of a block
static inline uint32_t row_blocks(int64_t rows) {
  return grid_size(ceil_div(rows, kRowWarps), 1 << 20);
}

class RowInRegisters {
 public:
  __device__ __forceinline__ RowInRegisters(const float* row, int width)
      : row_(row), width_(width) {
#pragma unroll
    for (int i = 0; i < kGroups; i++) {
      const int d = (thread() % 32 + 32 * i) * kEight;
      load8(row + d, up_to_eight(width - d), held_[i]);
    }
  }

  // Calls f(d, count, elements) for the lane's elements of the row.
  template <class F>
  __device__ __forceinline__ void each(const F& f) const {
    const int lane = thread() % 32;
#pragma unroll
    for (int i = 0; i < kGroups; i++) {
      const int d = (lane + 32 * i) * kEight;
      if (d < width_) f(d, up_to_eight(width_ - d), held_[i]);
    }
    for (int d = (lane + 32 * kGroups) * kEight; d < width_; d += 32 * kEight) {
      const int count = up_to_eight(width_ - d);
      float v[kEight];
      load8(row_ + d, count, v);
      f(d, count, v);
    }
  }

 private:
  static constexpr int kGroups = 4;
  const float* row_;
  int width_;
  float held_[kGroups][kEight];
};

// Returns 1 / sqrt(mean(x^2) + epsilon) of a row to every lane: all who normalize it get the same
// bits.
__device__ __forceinline__ float rms_scale(const RowInRegisters& row, int width, float epsilon) {
  float squares = 0;
  row.each([&](int, int, const float(&v)[kEight]) {
#pragma unroll
    for (int j = 0; j < kEight; j++) squares = fmaf(v[j], v[j], squares);
  });
  squares = warp_reduce(squares, Sum());
  return 1.0f / sqrtf(squares / static_cast<float>(width) + epsilon);
}

}  // namespace precis

#endif  // PRECIS_CUDA_ROW_IN_REGISTERS_CUH_
