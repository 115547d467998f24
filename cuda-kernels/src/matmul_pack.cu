// Packs stacked weights (n_i, K), or transposed weights (k_i, N), into the layout of kernels.h, in
// float32, rounded to bfloat16, or quantized to int8                        native/src/ops/matmul.h
//
// A thread writes eight elements of the result, regardless of the order in which that reads the
// source: this runs once for each weight.
#include "element_groups.cuh"
#include "elements.cuh"
#include "fused_ops.h"
#include "grid_constant.cuh"
#include "kernels.h"
#include "lora_matmul.cuh"
#include "ops/matmul.h"

namespace precis {
namespace {

struct Pack {
  AnyMatrix source[4];
  int64_t end[4];  // the end of each source in the dimension in which they are stacked
  AnyMatrix packed;
  int64_t outputs, inputs;
  int sources;
  bool transposed;

  __device__ float at(int64_t n, int64_t k) const {
    int64_t stacked = transposed ? k : n;
    int i = 0;
    while (i + 1 < sources && stacked >= end[i]) i++;
    stacked -= i > 0 ? end[i - 1] : 0;
    return source[i].get(stacked, transposed ? n : k);
  }
  __device__ void operator()(int64_t n, int64_t k, int count) const {
    float v[kEight];
    for (int i = 0; i < kEight; i++) v[i] = n < outputs && k + i < inputs ? at(n, k + i) : 0.0f;
    packed.save(n, k, count, v);
  }
};

Pack pack_of(const precis_matmul_pack_args& a, CudaPackedLayout* layout) {
  Pack f = {};
  int64_t stacked = 0;
  for (int i = 0; i < a.weight_count; i++) {
    f.source[i] = any_matrix(a.weights[i]);
    f.end[i] = stacked += a.weights[i].dims[0];
  }
  f.sources = a.weight_count;
  f.transposed = a.transposed != 0;
  f.outputs = a.transposed ? a.weights[0].dims[1] : stacked;
  f.inputs = a.transposed ? stacked : a.weights[0].dims[1];
  *layout = cuda_packed_layout(f.outputs, f.inputs, a.dtype);
  f.packed = {a.packed, layout->stride, a.dtype == PRECIS_BFLOAT16};
  return f;
}

// Quantizes an output: symmetrically, its largest magnitude to 127. A warp has one.
__global__ void __launch_bounds__(128)
    quantize_kernel(const __grid_constant__ Pack f, int8_t* packed, int64_t stride, float* scales,
                    int64_t rows) {
  const int64_t n = int64_t{blockIdx.x} * 4 + thread() / 32;
  const int lane = thread() % 32;
  if (n >= rows) return;
  float largest = 0, not_finite = 0;
  for (int64_t k = lane; n < f.outputs && k < f.inputs; k += 32) {
    const float w = f.at(n, k);
    largest = fmaxf(largest, fabsf(w));
    not_finite += w * 0.0f;  // NaN, or 0
  }
  // NaN in a row makes its scale NaN, and so its results.
  largest = warp_reduce(largest, Largest()) + warp_reduce(not_finite, Sum());
  const bool zero = largest < kSmallestMagnitude;
  const float inverse = largest == largest && !zero ? 127.0f / largest : 0.0f;
  if (lane == 0) scales[n] = zero ? 0.0f : largest / 127.0f;
  for (int64_t k = lane; k < stride; k += 32) {
    const bool inside = n < f.outputs && k < f.inputs && inverse > 0;
    packed[n * stride + k] = inside ? static_cast<int8_t>(rintf(f.at(n, k) * inverse)) : 0;
  }
}

// Multiplies int8 weights by their scales.
struct Widen {
  const int8_t* from;
  const float* scales;
  int64_t stride;
  Bf16* to;

  __device__ void operator()(int64_t n, int64_t k, int count) const {
    const uint2 raw = load_eight_bytes(from + n * stride + k);
    const float scale = scales[n];
    float v[kEight];
#pragma unroll
    for (int i = 0; i < kEight; i++) v[i] = scale * byte_as_float(i < 4 ? raw.x : raw.y, i % 4);
    store8(to + n * stride + k, count, v);
  }
};

}  // namespace

cudaError_t matmul_widen(CudaContext& context, const Product& p, void* to) {
  const Widen f = {static_cast<const int8_t*>(p.w), p.w_scales, p.w_stride, static_cast<Bf16*>(to)};
  return for_elements("matmul_widen", context.stream, p.w_rows, p.w_stride, f);
}

cudaError_t matmul_pack_cuda(CudaContext& context, const precis_matmul_pack_args& a) {
  CudaPackedLayout layout;
  const Pack f = pack_of(a, &layout);
  if (a.dtype == PRECIS_INT8) {
    auto* const packed = static_cast<int8_t*>(a.packed);
    return launch("matmul_pack, int8", quantize_kernel,
                  static_cast<uint32_t>(ceil_div(layout.rows, 4)), 128, 0, context.stream, f,
                  packed, layout.stride, reinterpret_cast<float*>(packed + layout.scales),
                  layout.rows);
  }
  return for_elements("matmul_pack", context.stream, layout.rows, layout.stride, f);
}

cudaError_t matmul_packs(CudaContext& context, const precis_matmul_pack_args* all, int count) {
  if (count == 1) return matmul_pack_cuda(context, all[0]);
  ElementGroup<Pack, kMostPacks> group;
  for (int i = 0; i < count; i++) {
    CudaPackedLayout layout;
    const Pack f = pack_of(all[i], &layout);
    group.add(f, layout.rows, layout.stride);
  }
  return for_element_group("matmul_pack, several", context.stream, group);
}

}  // namespace precis
