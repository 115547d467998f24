// With r[m] = 1 / sqrt(mean_d(x[m, d]^2) + epsilon):             native/src/ops/rms_norm_backward.h
//   dx[m, d] (+)= r (weight[d] dy[m, d] - x[m, d] r^2 mean_d(weight[d] dy[m, d] x[m, d]))
//   dweight[d] += sum_m dy[m, d] x[m, d] r[m]
//
// dx: a warp for each row, which is read twice, the second time from L1. It leaves r[m] behind.
// dweight: the rows in stripes, a block for each stripe and 256 columns, a column for each thread;
// then the stripes' sums in order. How many stripes there are depends on the shape alone.
#include <type_traits>

#include "kernels.h"
#include "ops/rms_norm_backward.h"

namespace precis {
namespace {

constexpr int kWarps = 4;
constexpr int64_t kStripeRows = 64;
constexpr int64_t kMaxStripes = 512;
constexpr int kColumns = 256;

__global__ void __launch_bounds__(kWarps * 32)
    rms_norm_dx_kernel(Matrix<const float> x, const float* weight, AnyMatrix dy, Matrix<float> dx,
                       float* scales, int64_t rows, int width, float epsilon, bool accumulate) {
  const int lane = thread() % 32;
  for (int64_t m = int64_t{blockIdx.x} * kWarps + thread() / 32; m < rows;
       m += int64_t{gridDim.x} * kWarps) {
    float squares = 0, product = 0;
    for (int d = lane * kEight; d < width; d += 32 * kEight) {
      const int count = width - d < kEight ? width - d : kEight;
      float v[kEight], g[kEight], w[kEight];
      load8(x.row(m) + d, count, v);
      dy.load(m, d, count, g);
      load8(weight + d, count, w);
#pragma unroll
      for (int i = 0; i < kEight; i++) {
        squares += v[i] * v[i];
        product += w[i] * g[i] * v[i];
      }
    }
    squares = warp_reduce(squares, Sum());
    product = warp_reduce(product, Sum());
    const float r = 1.0f / sqrtf(squares / static_cast<float>(width) + epsilon);
    // r^2 alone may overflow.
    const float shift = r * (r * (product / static_cast<float>(width)));
    for (int d = lane * kEight; d < width; d += 32 * kEight) {
      const int count = width - d < kEight ? width - d : kEight;
      float v[kEight], g[kEight], w[kEight], before[kEight];
      load8(x.row(m) + d, count, v);
      dy.load(m, d, count, g);
      load8(weight + d, count, w);
      load8(dx.row(m) + d, accumulate ? count : 0, before);
#pragma unroll
      for (int i = 0; i < kEight; i++) before[i] += r * (w[i] * g[i] - v[i] * shift);
      store8(dx.row(m) + d, count, before);
    }
    if (scales != nullptr && lane == 0) scales[m] = r;
  }
}

__global__ void __launch_bounds__(kColumns)
    rms_norm_stripes_kernel(Matrix<const float> x, AnyMatrix dy, const float* scales, int64_t rows,
                            int64_t stripe_rows, int width, float* sums) {
  const int d = static_cast<int>(blockIdx.x) * kColumns + thread();
  if (d >= width) return;
  const int64_t first = int64_t{blockIdx.y} * stripe_rows;
  const int64_t end = first + stripe_rows < rows ? first + stripe_rows : rows;
  float sum = 0;
  for (int64_t m = first; m < end; m++) {
    sum += dy.get(m, d) * x.row(m)[d] * scales[m];
  }
  sums[int64_t{blockIdx.y} * width + d] = sum;
}

__global__ void __launch_bounds__(kColumns)
    rms_norm_dweight_kernel(const float* sums, int stripes, int width, float* dweight) {
  const int d = static_cast<int>(blockIdx.x) * kColumns + thread();
  if (d >= width) return;
  float sum = 0;
  for (int s = 0; s < stripes; s++) sum += sums[int64_t{s} * width + d];
  dweight[d] += sum;
}

}  // namespace

cudaError_t rms_norm_backward_cuda(CudaContext& context, const precis_rms_norm_backward_args& a) {
  const int64_t m = rows(a.x), width = columns(a.x);
  if (m == 0) return cudaSuccess;
  const bool wants_weight = a.dweight.data != nullptr;
  int64_t stripe_rows = kStripeRows;
  while (ceil_div(m, stripe_rows) > kMaxStripes) stripe_rows *= 2;
  const int64_t stripes = ceil_div(m, stripe_rows);
  void* memory = nullptr;
  if (wants_weight) {
    PRECIS_RETURN_IF_ERROR(
        context.scratch.reserve(static_cast<size_t>(m + stripes * width) * sizeof(float), &memory));
  }
  float* scales = static_cast<float*>(memory);
  PRECIS_RETURN_IF_ERROR(
      launch("rms_norm_backward", rms_norm_dx_kernel, grid_size(ceil_div(m, kWarps), 1 << 20),
             kWarps * 32, 0, context.stream, matrix<const float>(a.x),
             static_cast<const float*>(a.weight.data), any_matrix(a.dy), matrix<float>(a.dx),
             scales, m, static_cast<int>(width), a.epsilon, a.accumulate != 0));
  if (!wants_weight) return cudaSuccess;
  const uint32_t blocks = static_cast<uint32_t>(ceil_div(width, kColumns));
  float* sums = scales + m;
  PRECIS_RETURN_IF_ERROR(launch("rms_norm_backward, stripes", rms_norm_stripes_kernel,
                                dim3(blocks, static_cast<uint32_t>(stripes)), kColumns, 0,
                                context.stream, matrix<const float>(a.x), any_matrix(a.dy), scales,
                                m, stripe_rows, static_cast<int>(width), sums));
  return launch("rms_norm_backward, dweight", rms_norm_dweight_kernel, blocks, kColumns, 0,
                context.stream, sums, static_cast<int>(stripes), static_cast<int>(width),
                static_cast<float*>(a.dweight.data));
}

}  // namespace precis
