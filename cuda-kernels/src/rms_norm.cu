// y[m, d] = x[m, d] / sqrt(mean_d(x[m, d]^2) + epsilon) * weight[d]       native/src/ops/rms_norm.h
//
// There is one warp per row (row_in_registers.cuh). The kernel is memory-bound: 4 + 4 or 2 bytes an
// element.
#include "kernels.h"
#include "ops/rms_norm.h"
#include "row_in_registers.cuh"

namespace precis {
namespace {

template <class T>
__global__ void __launch_bounds__(kRowWarps * 32)
    rms_norm_kernel(Matrix<const float> x, const float* weight, Matrix<T> y, int64_t rows,
                    int width, float epsilon) {
  wait_for_previous_kernel();
  for (int64_t m = int64_t{blockIdx.x} * kRowWarps + thread() / 32; m < rows;
       m += int64_t{gridDim.x} * kRowWarps) {
    const RowInRegisters row(x.row(m), width);
    const float scale = rms_scale(row, width, epsilon);
    row.each([&](int d, int count, const float(&v)[kEight]) {
      float w[kEight];
      load8(weight + d, count, w);
#pragma unroll
      for (int j = 0; j < kEight; j++) w[j] = v[j] * scale * w[j];
      store8(y.row(m) + d, count, w);
    });
  }
}

}  // namespace

cudaError_t rms_norm_cuda(CudaContext& context, const precis_rms_norm_args& a) {
  const int64_t m = rows(a.x);
  if (m == 0) return cudaSuccess;
  return with_type(a.y.dtype, [&](auto* type) {
    using T = PRECIS_TYPE_OF(type);
    return launch_dependent(context, "rms_norm", rms_norm_kernel<T>, row_blocks(m), kRowWarps * 32,
                            0, matrix<const float>(a.x), static_cast<const float*>(a.weight.data),
                            matrix<T>(a.y), m, static_cast<int>(columns(a.x)), a.epsilon);
  });
}

}  // namespace precis
