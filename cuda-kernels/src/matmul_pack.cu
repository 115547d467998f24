// Packs stacked weights (n_i, K), or transposed weights (k_i, N), into the layout of kernels.h, in
// float32 or rounded to bfloat16                                            native/src/ops/matmul.h
//
// A thread writes eight elements of the result, regardless of the order in which that reads the
// source: this runs once for each weight.
#include "element_groups.cuh"
#include "elements.cuh"
#include "fused_ops.h"
#include "kernels.h"
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

}  // namespace

cudaError_t matmul_pack_cuda(CudaContext& context, const precis_matmul_pack_args& a) {
  if (a.dtype == PRECIS_INT8) return cudaErrorInvalidValue;
  CudaPackedLayout layout;
  const Pack f = pack_of(a, &layout);
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
