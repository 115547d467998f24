// y[m, d] = (x[m, d] - mean_d(x[m, d])) / sqrt(variance + epsilon) * weight[d] + bias[d]
//                                                                       native/src/ops/layer_norm.h
// A warp for each row, lane l with the eights l, l + 32, ...; what fits in the registers, rows of
// up to 1024, is read once. The variance is a sum of squares of differences: a mean that is large
// beside it costs nothing. Bound by memory: 4 + 4 or 2 bytes an element.
#include <type_traits>

#include "kernels.h"
#include "ops/layer_norm.h"

namespace precis {
namespace {

constexpr int kWarps = 4;
constexpr int kHeld = 4;  // eights of a lane

template <class T>
__global__ void __launch_bounds__(kWarps * 32)
    layer_norm_kernel(Matrix<const float> x, const float* weight, const float* bias, Matrix<T> y,
                      int64_t rows, int width, float epsilon) {
  const int lane = thread() % 32;
  for (int64_t m = int64_t{blockIdx.x} * kWarps + thread() / 32; m < rows;
       m += int64_t{gridDim.x} * kWarps) {
    const float* from = x.row(m);
    float held[kHeld][kEight];
#pragma unroll
    for (int i = 0; i < kHeld; i++) {
      const int d = (lane + 32 * i) * kEight;
      load8(from + d, width - d < kEight ? width - d : kEight, held[i]);
    }
    // Calls f(d, count, elements) for what the lane has of the row.
    auto each = [&](const auto& f) {
#pragma unroll
      for (int i = 0; i < kHeld; i++) {
        const int d = (lane + 32 * i) * kEight;
        if (d < width) f(d, width - d < kEight ? width - d : kEight, held[i]);
      }
      for (int d = (lane + 32 * kHeld) * kEight; d < width; d += 32 * kEight) {
        const int count = width - d < kEight ? width - d : kEight;
        float v[kEight];
        load8(from + d, count, v);
        f(d, count, v);
      }
    };
    float sum = 0, squares = 0;
    each([&](int, int, const float(&v)[kEight]) {
#pragma unroll
      for (int j = 0; j < kEight; j++) sum += v[j];
    });
    const float mean = warp_reduce(sum, Sum()) / static_cast<float>(width);
    each([&](int, int count, const float(&v)[kEight]) {
#pragma unroll
      for (int j = 0; j < kEight; j++) {
        const float c = j < count ? v[j] - mean : 0.0f;
        squares += c * c;
      }
    });
    squares = warp_reduce(squares, Sum());
    const float r = 1.0f / sqrtf(squares / static_cast<float>(width) + epsilon);
    each([&](int d, int count, const float(&v)[kEight]) {
      float w[kEight], b[kEight];
      load8(weight + d, count, w);
      load8(bias + d, count, b);
#pragma unroll
      for (int j = 0; j < kEight; j++) b[j] = fmaf((v[j] - mean) * r, w[j], b[j]);
      store8(y.row(m) + d, count, b);
    });
  }
}

}  // namespace

cudaError_t layer_norm_cuda(CudaContext& context, const precis_layer_norm_args& a) {
  const int64_t m = rows(a.x);
  if (m == 0) return cudaSuccess;
  return with_type(a.y.dtype, [&](auto* type) {
    using T = PRECIS_TYPE_OF(type);
    return launch("layer_norm", layer_norm_kernel<T>, grid_size(ceil_div(m, kWarps), 1 << 20),
                  kWarps * 32, 0, context.stream, matrix<const float>(a.x),
                  static_cast<const float*>(a.weight.data), static_cast<const float*>(a.bias.data),
                  matrix<T>(a.y), m, static_cast<int>(columns(a.x)), a.epsilon);
  });
}

}  // namespace precis
