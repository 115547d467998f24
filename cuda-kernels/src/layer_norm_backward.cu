// With c = x - mean, r = 1 / sqrt(mean_d(c^2) + epsilon), g = weight dy of row m:
//                                                              native/src/ops/layer_norm_backward.h
//   dx[m, d] (+)= r (g[d] - mean_d(g[d]) - c[d] r^2 mean_d(g[d] c[d]))
//   dweight[d] += sum_m dy[m, d] c[m, d] r[m]
//   dbias[d] += sum_m dy[m, d]
//
// dx: one warp per row, which is read three times, after the first time from L1. It stores mean and
// r for dweight and dbias, which column_sums.cuh computes in one pass.
#include "column_sums.cuh"
#include "kernels.h"
#include "ops/layer_norm_backward.h"
#include "row_in_registers.cuh"

namespace precis {
namespace {

struct Moments {
  float mean, r;
};

// Eight elements of a row before they are converted.
struct HeldRow {
  RawEight<float> x, weight;
  AnyEight dy;
};

__global__ void __launch_bounds__(kRowWarps * 32)
    layer_norm_dx_kernel(Matrix<const float> x, const float* weight, AnyMatrix dy, Matrix<float> dx,
                         Moments* moments, int64_t rows, int width, float epsilon,
                         bool accumulate) {
  const int lane = thread() % 32;
  const float inverse_width = 1.0f / static_cast<float>(width);
  for (int64_t m = int64_t{blockIdx.x} * kRowWarps + thread() / 32; m < rows;
       m += int64_t{gridDim.x} * kRowWarps) {
    float sum = 0;
    for_eights<4>(
        lane * kEight, width, 32 * kEight,
        [&](int d, int count) {
          RawEight<float> held;
          held.load(x.row(m) + d, count);
          return held;
        },
        [&](int, int, const RawEight<float>& held) {
          float v[kEight];
          held.convert(v);
#pragma unroll
          for (int i = 0; i < kEight; i++) sum += v[i];
        });
    const float mean = warp_reduce(sum, Sum()) / static_cast<float>(width);
    float squares = 0, gradients = 0, products = 0;
    const auto load = [&](int d, int count) {
      HeldRow held;
      held.x.load(x.row(m) + d, count);
      held.dy = dy.raw(m, d, count);
      held.weight.load(weight + d, count);
      return held;
    };
    for_eights<2>(lane * kEight, width, 32 * kEight, load,
                  [&](int, int count, const HeldRow& held) {
                    float v[kEight], g[kEight], w[kEight];
                    held.x.convert(v);
                    held.dy.convert(g);
                    held.weight.convert(w);
#pragma unroll
                    for (int i = 0; i < kEight; i++) {
                      const float c = i < count ? v[i] - mean : 0.0f;
                      squares += c * c;
                      gradients += w[i] * g[i];
                      products += w[i] * g[i] * c;
                    }
                  });
    squares = warp_reduce(squares, Sum());
    gradients = warp_reduce(gradients, Sum()) * inverse_width;
    products = warp_reduce(products, Sum()) * inverse_width;
    const float r = 1.0f / sqrtf(squares / static_cast<float>(width) + epsilon);
    // r^2 by itself could overflow.
    const float shift = r * (r * products);
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
      for (int i = 0; i < kEight; i++) {
        before[i] += r * (w[i] * g[i] - gradients - (v[i] - mean) * shift);
      }
      store8(dx.row(m) + d, count, before);
    }
    if (moments != nullptr && lane == 0) moments[m] = {mean, r};
  }
}

struct Element {
  Matrix<const float> x;
  AnyMatrix dy;
  const Moments* moments;

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
                                             float (&sums)[2][kEight]) const {
    float v[kEight], g[kEight];
    held.x.convert(v);
    held.dy.convert(g);
    const Moments of = moments[m];
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      sums[0][i] += g[i] * ((v[i] - of.mean) * of.r);
      sums[1][i] += g[i];
    }
  }
};
struct AddTo {
  float* dweight;
  float* dbias;

  __device__ __forceinline__ void operator()(int d, const float (&sums)[2]) const {
    if (dweight != nullptr) dweight[d] += sums[0];
    if (dbias != nullptr) dbias[d] += sums[1];
  }
};

}  // namespace

cudaError_t layer_norm_backward_cuda(CudaContext& context,
                                     const precis_layer_norm_backward_args& a) {
  const int64_t m = rows(a.x), width = columns(a.x);
  if (m == 0) return cudaSuccess;
  const bool wants_sums = a.dweight.data != nullptr || a.dbias.data != nullptr;
  void* memory = nullptr;
  if (wants_sums) {
    const size_t floats = static_cast<size_t>(ColumnStripes(m).floats(2, width));
    PRECIS_RETURN_IF_ERROR(context.scratch.reserve(
        static_cast<size_t>(m) * sizeof(Moments) + floats * sizeof(float), &memory));
  }
  Moments* moments = static_cast<Moments*>(memory);
  PRECIS_RETURN_IF_ERROR(launch(
      "layer_norm_backward", layer_norm_dx_kernel, row_blocks(m), kRowWarps * 32, 0, context.stream,
      matrix<const float>(a.x), static_cast<const float*>(a.weight.data), any_matrix(a.dy),
      matrix<float>(a.dx), moments, m, static_cast<int>(width), a.epsilon, a.accumulate != 0));
  if (!wants_sums) return cudaSuccess;
  return column_sums<2>(
      "layer_norm_backward, sums", context.stream, m, width, reinterpret_cast<float*>(moments + m),
      Element{matrix<const float>(a.x), any_matrix(a.dy), moments},
      AddTo{static_cast<float*>(a.dweight.data), static_cast<float*>(a.dbias.data)});
}

}  // namespace precis
