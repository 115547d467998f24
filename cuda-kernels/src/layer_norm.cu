// y[m, d] = (x[m, d] - mean_d(x[m, d])) / sqrt(variance + epsilon) * weight[d] + bias[d]
//                                                                       native/src/ops/layer_norm.h
//
// There is one warp per row (row_in_registers.cuh). The variance is a sum of squares of
// differences, so a mean that is large compared to it costs no precision. The kernel is
// memory-bound: 4 + 4 or 2 bytes an element.
#include "kernels.h"
#include "ops/layer_norm.h"
#include "row_in_registers.cuh"

namespace precis {
namespace {

template <class T>
__global__ void __launch_bounds__(kRowWarps * 32)
    layer_norm_kernel(Matrix<const float> x, const float* weight, const float* bias, Matrix<T> y,
                      int64_t rows, int width, float epsilon) {
  for (int64_t m = int64_t{blockIdx.x} * kRowWarps + thread() / 32; m < rows;
       m += int64_t{gridDim.x} * kRowWarps) {
    const RowInRegisters row(x.row(m), width);
    float sum = 0, squares = 0;
    row.each([&](int, int, const float(&v)[kEight]) {
#pragma unroll
      for (int j = 0; j < kEight; j++) sum += v[j];
    });
    const float mean = warp_reduce(sum, Sum()) / static_cast<float>(width);
    row.each([&](int, int count, const float(&v)[kEight]) {
#pragma unroll
      for (int j = 0; j < kEight; j++) {
        const float c = j < count ? v[j] - mean : 0.0f;
        squares += c * c;
      }
    });
    squares = warp_reduce(squares, Sum());
    const float r = 1.0f / sqrtf(squares / static_cast<float>(width) + epsilon);
    row.each([&](int d, int count, const float(&v)[kEight]) {
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
    return launch("layer_norm", layer_norm_kernel<T>, row_blocks(m), kRowWarps * 32, 0,
                  context.stream, matrix<const float>(a.x),
                  static_cast<const float*>(a.weight.data), static_cast<const float*>(a.bias.data),
                  matrix<T>(a.y), m, static_cast<int>(columns(a.x)), a.epsilon);
  });
}

}  // namespace precis
