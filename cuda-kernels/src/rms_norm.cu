// y[m, d] = x[m, d] / sqrt(mean_d(x[m, d]^2) + epsilon) * weight[d] native/src/ops/rms_norm.h
//
// A warp for each row, lane l with the eights l, l + 32, ...; what fits in the registers, rows of
// up to 1024, is read once. Bound by memory: 4 + 4 or 2 bytes an element.
//
// Tried: nothing else yet.
#include <type_traits>

#include "kernels.h"
#include "ops/rms_norm.h"

namespace precis {
namespace {

constexpr int kWarps = 4;
constexpr int kHeld = 4;  // eights of a lane

template <class T>
__global__ void __launch_bounds__(kWarps * 32)
    rms_norm_kernel(Matrix<const float> x, const float* weight, Matrix<T> y, int64_t rows,
                    int width, float epsilon) {
  const int lane = thread() % 32;
  for (int64_t m = int64_t{blockIdx.x} * kWarps + thread() / 32; m < rows;
       m += int64_t{gridDim.x} * kWarps) {
    const float* from = x.row(m);
    float held[kHeld][kEight];
    float squares = 0;
#pragma unroll
    for (int i = 0; i < kHeld; i++) {
      const int d = (lane + 32 * i) * kEight;
      load8(from + d, width - d < kEight ? width - d : kEight, held[i]);
#pragma unroll
      for (int j = 0; j < kEight; j++) squares += held[i][j] * held[i][j];
    }
    for (int d = (lane + 32 * kHeld) * kEight; d < width; d += 32 * kEight) {
      float v[kEight];
      load8(from + d, width - d < kEight ? width - d : kEight, v);
#pragma unroll
      for (int j = 0; j < kEight; j++) squares += v[j] * v[j];
    }
    squares = warp_reduce(squares, Sum());
    const float scale = 1.0f / sqrtf(squares / static_cast<float>(width) + epsilon);
    auto finish = [&](int d, float(&v)[kEight]) {
      const int count = width - d < kEight ? width - d : kEight;
      float w[kEight];
      load8(weight + d, count, w);
#pragma unroll
      for (int j = 0; j < kEight; j++) v[j] = v[j] * scale * w[j];
      store8(y.row(m) + d, count, v);
    };
#pragma unroll
    for (int i = 0; i < kHeld; i++) {
      const int d = (lane + 32 * i) * kEight;
      if (d < width) finish(d, held[i]);
    }
    for (int d = (lane + 32 * kHeld) * kEight; d < width; d += 32 * kEight) {
      float v[kEight];
      load8(from + d, width - d < kEight ? width - d : kEight, v);
      finish(d, v);
    }
  }
}

}  // namespace

cudaError_t rms_norm_cuda(CudaContext& context, const precis_rms_norm_args& a) {
  const int64_t m = rows(a.x);
  if (m == 0) return cudaSuccess;
  return with_type(a.y.dtype, [&](auto* type) {
    using T = PRECIS_TYPE_OF(type);
    return launch("rms_norm", rms_norm_kernel<T>, grid_size(ceil_div(m, kWarps), 1 << 20),
                  kWarps * 32, 0, context.stream, matrix<const float>(a.x),
                  static_cast<const float*>(a.weight.data), matrix<T>(a.y), m,
                  static_cast<int>(columns(a.x)), a.epsilon);
  });
}

}  // namespace precis
