// dbias[n] += sum_m dy[m, n]                                         native/src/ops/bias_gradient.h
#include "column_sums.cuh"
#include "kernels.h"
#include "ops/bias_gradient.h"

namespace precis {
namespace {

struct Element {
  AnyMatrix dy;

  static constexpr int kAhead = 4;
  using Held = AnyEight;
  __device__ __forceinline__ Held load(int64_t m, int d, int count) const {
    return dy.raw(m, d, count);
  }
  __device__ __forceinline__ void operator()(int64_t, const Held& held,
                                             float (&sum)[1][kEight]) const {
    float g[kEight];
    held.convert(g);
#pragma unroll
    for (int i = 0; i < kEight; i++) sum[0][i] += g[i];
  }
};
struct AddTo {
  float* dbias;

  __device__ __forceinline__ void operator()(int d, const float (&sum)[1]) const {
    dbias[d] += sum[0];
  }
};

}  // namespace

cudaError_t bias_gradient_cuda(CudaContext& context, const precis_bias_gradient_args& a) {
  const int64_t m = rows(a.dy), width = columns(a.dy);
  if (m == 0 || width == 0) return cudaSuccess;
  void* memory = nullptr;
  PRECIS_RETURN_IF_ERROR(context.scratch.reserve(
      static_cast<size_t>(ColumnStripes(m).floats(1, width)) * sizeof(float), &memory));
  return column_sums<1>("bias_gradient", context.stream, m, width, static_cast<float*>(memory),
                        Element{any_matrix(a.dy)}, AddTo{static_cast<float*>(a.dbias.data)});
}

}  // namespace precis
