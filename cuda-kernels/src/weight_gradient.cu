// dw[n, k] = alpha sum_m dy[m, n] x[m, k] (+ dw[n, k])             native/src/ops/weight_gradient.h
//
// Designed for the gradients of LoRA's factors: N or K is small and there are many rows. So the
// rows are split into stripes whose length depends on M alone, a block has a tile of 64 x 64 of one
// stripe's sum, and a second kernel adds the stripes in order: deterministic, and independent of
// the number of multiprocessors.
//
// bfloat16: tensor cores of sm_80 and later. Both operands have the layout of global memory in
// shared memory, rows of m, and are transposed while they are loaded into fragments. float32: plain
// fused multiply-adds, 4 x 4 results a thread.
//
// Not tried yet: larger tiles for full fine-tuning, where neither N nor K is small; copies that
// overlap with the computation of a step.
#include "elements.cuh"
#include "kernels.h"
#include "ops/weight_gradient.h"

namespace precis {
namespace {

constexpr int kTile = 64;
constexpr int kDepth = 32;  // rows of m in a step
constexpr int kThreads = 256;
constexpr int64_t kStripe = 512;
constexpr int64_t kMaxStripes = 64;

struct Arguments {
  AnyMatrix dy, x;
  float* sums;  // (stripes, N, K)
  int64_t rows, stripe_rows, outputs, inputs;
};

// Loads one step's rows of dy or x, converted to T, with zeros outside.
template <class T>
__device__ void load_tile(const Shared<T>& tile, int stride, const AnyMatrix& from, int64_t m0,
                          int64_t end, int64_t column0, int64_t columns) {
  constexpr int kEights = kTile / kEight;
  for (int e = thread(); e < kDepth * kEights; e += kThreads) {
    const int row = e / kEights, column = e % kEights * kEight;
    float v[kEight];
    from.load(m0 + row, column0 + column,
              up_to_eight(m0 + row < end ? columns - column0 - column : 0), v);
    store8(tile.at(row * stride + column, kEight), kEight, v);
  }
}

__device__ __forceinline__ void store_sum(const Arguments& a, int64_t n, int64_t k, float sum) {
  if (n < a.outputs && k < a.inputs) {
    a.sums[(int64_t{blockIdx.z} * a.outputs + n) * a.inputs + k] = sum;
  }
}

__global__ void __launch_bounds__(kThreads) weight_gradient_kernel(Arguments a) {
  constexpr int kStride = kTile + kEight;
  PRECIS_SHARED(Bf16, dys, kDepth * kStride);
  PRECIS_SHARED(Bf16, xs, kDepth * kStride);
  const int64_t n0 = int64_t{blockIdx.y} * kTile, k0 = int64_t{blockIdx.x} * kTile;
  const int64_t begin = int64_t{blockIdx.z} * a.stripe_rows;
  const int64_t end = min(begin + a.stripe_rows, a.rows);
  // Eight warps: four bands of 16 outputs, two halves of 32 inputs.
  const int lane = thread() % 32, warp_n = thread() / 32 / 2 * 16, warp_k = thread() / 32 % 2 * 32;
  float sum[4][4] = {};
  for (int64_t m0 = begin; m0 < end; m0 += kDepth) {
    __syncthreads();  // no thread reads the last step's rows any more
    load_tile(dys, kStride, a.dy, m0, end, n0, a.outputs);
    load_tile(xs, kStride, a.x, m0, end, k0, a.inputs);
    __syncthreads();
#pragma unroll
    for (int m = 0; m < kDepth; m += 16) {
      // The 8 x 8 matrices come in the order of the transposed operand: first the upper and lower
      // half of the outputs, then the same for the next eight rows of m.
      uint32_t dyf[4], xf[4];
      load_matrices<true>(
          dys.at((m + lane % 8 + lane / 16 * 8) * kStride + warp_n + lane / 8 % 2 * kEight, kEight),
          dyf);
#pragma unroll
      for (int j = 0; j < 4; j += 2) {
        load_matrices<true>(
            xs.at((m + lane % 16) * kStride + warp_k + j * 8 + lane / 16 * kEight, kEight), xf);
        mma_bf16(sum[j], dyf, xf[0], xf[1]);
        mma_bf16(sum[j + 1], dyf, xf[2], xf[3]);
      }
    }
  }
#pragma unroll
  for (int j = 0; j < 4; j++) {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      store_sum(a, n0 + warp_n + lane / 4 + e / 2 * 8, k0 + warp_k + j * 8 + lane % 4 * 2 + e % 2,
                sum[j][e]);
    }
  }
}

__global__ void __launch_bounds__(kThreads) weight_gradient_float_kernel(Arguments a) {
  constexpr int kStride = kTile + 4;
  PRECIS_SHARED(float, dys, kDepth* kStride);
  PRECIS_SHARED(float, xs, kDepth* kStride);
  const int64_t n0 = int64_t{blockIdx.y} * kTile, k0 = int64_t{blockIdx.x} * kTile;
  const int64_t begin = int64_t{blockIdx.z} * a.stripe_rows;
  const int64_t end = min(begin + a.stripe_rows, a.rows);
  const int n = thread() / 16 * 4, k = thread() % 16 * 4;
  float sum[4][4] = {};
  for (int64_t m0 = begin; m0 < end; m0 += kDepth) {
    __syncthreads();
    load_tile(dys, kStride, a.dy, m0, end, n0, a.outputs);
    load_tile(xs, kStride, a.x, m0, end, k0, a.inputs);
    __syncthreads();
    for (int m = 0; m < kDepth; m++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
          sum[i][j] = fmaf(dys[m * kStride + n + i], xs[m * kStride + k + j], sum[i][j]);
        }
      }
    }
  }
  for (int i = 0; i < 4; i++) {
    for (int j = 0; j < 4; j++) store_sum(a, n0 + n + i, k0 + k + j, sum[i][j]);
  }
}

// Adds the stripes in order.
struct AddStripes {
  const float* sums;
  float* dw;
  int64_t stride, outputs, inputs, stripes;
  float alpha;
  bool accumulate;

  __device__ void operator()(int64_t n, int64_t k, int count) const {
    float total[kEight] = {}, v[kEight];
    for (int64_t s = 0; s < stripes; s++) {
      load8(sums + (s * outputs + n) * inputs + k, count, v);
#pragma unroll
      for (int i = 0; i < kEight; i++) total[i] += v[i];
    }
    load8(dw + n * stride + k, accumulate ? count : 0, v);
#pragma unroll
    for (int i = 0; i < kEight; i++) v[i] = fmaf(alpha, total[i], v[i]);
    store8(dw + n * stride + k, count, v);
  }
};

}  // namespace

cudaError_t weight_gradient_cuda(CudaContext& context, const precis_weight_gradient_args& g) {
  const int64_t m = rows(g.x), n = columns(g.dy), k = columns(g.x);
  if (n == 0 || k == 0) return cudaSuccess;
  int64_t stripe_rows = kStripe;
  while (ceil_div(m, stripe_rows) > kMaxStripes) stripe_rows *= 2;
  const int64_t stripes = ceil_div(m, stripe_rows);
  if (ceil_div(n, kTile) > kMaxGridY) return cudaErrorInvalidValue;
  void* memory = nullptr;
  if (stripes > 0) {
    PRECIS_RETURN_IF_ERROR(
        context.scratch.reserve(static_cast<size_t>(stripes * n * k) * sizeof(float), &memory));
    const Arguments a = {
        any_matrix(g.dy), any_matrix(g.x), static_cast<float*>(memory), m, stripe_rows, n, k};
    const dim3 grid(static_cast<uint32_t>(ceil_div(k, kTile)),
                    static_cast<uint32_t>(ceil_div(n, kTile)), static_cast<uint32_t>(stripes));
    PRECIS_RETURN_IF_ERROR(
        launch("weight_gradient",
               g.dtype == PRECIS_BFLOAT16 ? weight_gradient_kernel : weight_gradient_float_kernel,
               grid, kThreads, 0, context.stream, a));
  }
  const AddStripes add = {static_cast<const float*>(memory),
                          static_cast<float*>(g.dw.data),
                          row_stride(g.dw),
                          n,
                          k,
                          stripes,
                          g.alpha,
                          g.accumulate != 0};
  return for_elements("weight_gradient, stripes", context.stream, n, k, add);
}

}  // namespace precis
