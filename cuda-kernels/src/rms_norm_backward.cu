// With r[m] = 1 / sqrt(mean_d(x[m, d]^2) + epsilon):             native/src/ops/rms_norm_backward.h
//   dx[m, d] (+)= r (weight[d] dy[m, d] - x[m, d] r^2 mean_d(weight[d] dy[m, d] x[m, d]))
//   dweight[d] += sum_m dy[m, d] x[m, d] r[m]
//
// dx: one warp per row, which is read twice, the second time from L1. It stores r[m] for dweight,
// which column_sums.cuh computes.
#include "column_sums.cuh"
#include "element_dropout.cuh"
#include "fused_ops.h"
#include "ops/rms_norm_backward.h"
#include "row_in_registers.cuh"

namespace precis {
namespace {

// Eight elements of a row before they are converted.
struct HeldRow {
  RawEight<float> x, weight;
  AnyEight dy;
};

__global__ void __launch_bounds__(kRowWarps * 32)
    rms_norm_dx_kernel(Matrix<const float> x, const float* weight, AnyMatrix dy, Matrix<float> dx,
                       float* scales, int64_t rows, int width, float epsilon, bool accumulate,
                       MatrixDropout after) {
  const int lane = thread() % 32;
  for (int64_t m = int64_t{blockIdx.x} * kRowWarps + thread() / 32; m < rows;
       m += int64_t{gridDim.x} * kRowWarps) {
    float squares = 0, product = 0;
    const auto load = [&](int d, int count) {
      HeldRow held;
      held.x.load(x.row(m) + d, count);
      held.dy = dy.raw(m, d, count);
      held.weight.load(weight + d, count);
      return held;
    };
    for_eights<2>(lane * kEight, width, 32 * kEight, load, [&](int, int, const HeldRow& held) {
      float v[kEight], g[kEight], w[kEight];
      held.x.convert(v);
      held.dy.convert(g);
      held.weight.convert(w);
#pragma unroll
      for (int i = 0; i < kEight; i++) {
        squares += v[i] * v[i];
        product += w[i] * g[i] * v[i];
      }
    });
    squares = warp_reduce(squares, Sum());
    product = warp_reduce(product, Sum());
    const float r = 1.0f / sqrtf(squares / static_cast<float>(width) + epsilon);
    // r^2 by itself could overflow.
    const float shift = r * (r * (product / static_cast<float>(width)));
    for (int d = lane * kEight; d < width; d += 32 * kEight) {
      const int count = up_to_eight(width - d);
      const HeldRow held = load(d, count);
      RawEight<float> old;
      old.load(dx.row(m) + d, accumulate ? count : 0);
      float v[kEight], g[kEight], w[kEight], before[kEight];
      held.x.convert(v);
      held.dy.convert(g);
      held.weight.convert(w);
      old.convert(before);
#pragma unroll
      for (int i = 0; i < kEight; i++) before[i] += r * (w[i] * g[i] - v[i] * shift);
      store8(dx.row(m) + d, count, before);
      if (after.y.data != nullptr) after(m, d, count, before);
    }
    if (scales != nullptr && lane == 0) scales[m] = r;
  }
}

struct Element {
  Matrix<const float> x;
  AnyMatrix dy;
  const float* scales;

  static constexpr int kAhead = 2;
  struct Held {
    RawEight<float> x;
    AnyEight dy;
  };
  __device__ __forceinline__ Held load(int64_t m, int d, int count) const {
    Held held;
    held.x.load(x.row(m) + d, count);
    held.dy = dy.raw(m, d, count);
    return held;
  }
  __device__ __forceinline__ void operator()(int64_t m, const Held& held,
                                             float (&sum)[1][kEight]) const {
    float v[kEight], g[kEight];
    held.x.convert(v);
    held.dy.convert(g);
    const float scale = scales[m];
#pragma unroll
    for (int i = 0; i < kEight; i++) sum[0][i] += g[i] * v[i] * scale;
  }
};
struct AddTo {
  float* dweight;

  __device__ __forceinline__ void operator()(int d, const float (&sum)[1]) const {
    dweight[d] += sum[0];
  }
};

}  // namespace

static cudaError_t run(CudaContext& context, const precis_rms_norm_backward_args& a,
                       const MatrixDropout& after) {
  const int64_t m = rows(a.x), width = columns(a.x);
  if (m == 0) return cudaSuccess;
  const bool wants_weight = a.dweight.data != nullptr;
  void* memory = nullptr;
  if (wants_weight) {
    const int64_t floats = m + ColumnStripes(m).floats(1, width);
    PRECIS_RETURN_IF_ERROR(
        context.scratch.reserve(static_cast<size_t>(floats) * sizeof(float), &memory));
  }
  float* scales = static_cast<float*>(memory);
  PRECIS_RETURN_IF_ERROR(launch("rms_norm_backward", rms_norm_dx_kernel, row_blocks(m),
                                kRowWarps * 32, 0, context.stream, matrix<const float>(a.x),
                                static_cast<const float*>(a.weight.data), any_matrix(a.dy),
                                matrix<float>(a.dx), scales, m, static_cast<int>(width), a.epsilon,
                                a.accumulate != 0, after));
  if (!wants_weight) return cudaSuccess;
  return column_sums<1>("rms_norm_backward, dweight", context.stream, m, width, scales + m,
                        Element{matrix<const float>(a.x), any_matrix(a.dy), scales},
                        AddTo{static_cast<float*>(a.dweight.data)});
}

cudaError_t rms_norm_backward_cuda(CudaContext& context, const precis_rms_norm_backward_args& a) {
  return run(context, a, {});
}

cudaError_t rms_norm_backward_dropped(CudaContext& context, const precis_rms_norm_backward_args& a,
                                      const precis_dropout_args& dropout) {
  return run(context, a, matrix_dropout(dropout));
}

}  // namespace precis
