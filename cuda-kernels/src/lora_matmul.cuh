// What the kernels of the fused LoRA product share: lora_matmul.cu and lora_matmul_sm90.cu.
#ifndef PRECIS_CUDA_LORA_MATMUL_CUH_
#define PRECIS_CUDA_LORA_MATMUL_CUH_

#include "kernels.h"

namespace precis {

// What the kernels get. Without adapters segment_count is 0 and a and b are empty.
struct Product {
  AnyMatrix x, z, y;
  float* down;
  int64_t down_stride;
  const void* w;
  const void* a;
  const void* b;
  int64_t w_stride, a_stride, b_stride;  // in elements
  int64_t w_rows, a_rows;                // padding included
  int64_t rows, outputs, inputs;
  int ranks;
  int segment_count;
  precis_lora_segment segments[4];
  float alpha;
  bool accumulate;
  bool separate_z;
  bool pairs;  // two neighbours of y, the first an even one, may be stored at once
};

// The factor of a column of down: that of the segments that have the rank.
__device__ __forceinline__ float scaling_of_rank(const Product& p, int rank) {
  for (int i = 0; i < p.segment_count; i++) {
    const precis_lora_segment& s = p.segments[i];
    if (rank >= s.rank_begin && rank < s.rank_end) return s.scaling;
  }
  return 0;
}

__device__ __forceinline__ void store_result(const Product& p, int64_t m, int64_t n, float sum) {
  if (m >= p.rows || n >= p.outputs) return;
  p.y.set(m, n, (p.accumulate ? p.y.get(m, n) : 0.0f) + p.alpha * sum);
}
// Of an even n and the next.
__device__ __forceinline__ void store_results(const Product& p, int64_t m, int64_t n, float first,
                                              float second) {
  if (!p.pairs || n + 1 >= p.outputs) {
    store_result(p, m, n, first);
    store_result(p, m, n + 1, second);
    return;
  }
  if (m >= p.rows) return;
  const int64_t at = m * p.y.stride + n;
  if (p.y.bf16) {  // never added to
    *reinterpret_cast<uint32_t*>(static_cast<Bf16*>(p.y.data) + at) =
        pack_bf16(p.alpha * first, p.alpha * second);
    return;
  }
  uint2* y = reinterpret_cast<uint2*>(static_cast<float*>(p.y.data) + at);
  uint2 v = {0, 0};
  if (p.accumulate) v = *y;
  v.x = __float_as_uint(__uint_as_float(v.x) + p.alpha * first);
  v.y = __float_as_uint(__uint_as_float(v.y) + p.alpha * second);
  *y = v;
}

// The product by wgmma and TMA, where that can be: *done says whether it was. bfloat16 weights.
cudaError_t lora_matmul_sm90(CudaContext& context, const Product& p, bool* done);

}  // namespace precis

#endif  // PRECIS_CUDA_LORA_MATMUL_CUH_
