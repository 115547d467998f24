// The launchers: <op>_cuda of src/<op>.cu for every operation of PRECIS_FOR_EACH_OP. Shapes and
// formulas are in native/src/ops/<op>.h. Arguments have been checked as far as that is possible
// without reading device memory; ids, labels and logits are there, so a kernel that finds a bad one
// notes it (runtime/problem.h) and leaves its row out.
#ifndef PRECIS_CUDA_KERNELS_H_
#define PRECIS_CUDA_KERNELS_H_

#include "cuda_context.h"
#include "device.h"
#include "operations.h"
#include "precis.h"

namespace precis {

#define PRECIS_DECLARE_LAUNCHER(op) \
  cudaError_t op##_cuda(CudaContext& context, const precis_##op##_args& a);
PRECIS_FOR_EACH_OP(PRECIS_DECLARE_LAUNCHER)
#undef PRECIS_DECLARE_LAUNCHER

// The layout of packed weights on this device: a row-major matrix (outputs, inputs), both dimensions
// padded with zeros to multiples of 64; int8 is followed by a scale for each row, float32. cuBLASLt
// and TMA read it as it is, and copies of tiles need no bounds check along K.
struct CudaPackedLayout {
  int64_t rows;
  int64_t stride;
  int64_t scales;  // their offset in bytes, int8 only
  int64_t bytes;
};
constexpr int64_t kCudaPackMultiple = 64;
static inline CudaPackedLayout cuda_packed_layout(int64_t outputs, int64_t inputs, int32_t dtype) {
  CudaPackedLayout p;
  p.rows = ceil_div(outputs, kCudaPackMultiple) * kCudaPackMultiple;
  p.stride = ceil_div(inputs, kCudaPackMultiple) * kCudaPackMultiple;
  p.scales = p.rows * p.stride * element_bytes(dtype);
  p.bytes = dtype == PRECIS_INT8 ? p.scales + p.rows * 4 : p.scales;
  return p;
}

// The most ranks, over all segments, that one kernel of lora_matmul takes with bfloat16 weights.
constexpr int64_t kMaxLoraRanks = 128;
// The widest attention head.
constexpr int kMaxHeadDim = 256;
// The widest head of attention over whole sequences, or of its gradients, whose tiles fit into so
// much shared memory of a block: sm_86, sm_89 and sm_120 have 99 KiB, all others enough.
constexpr int widest_head(int64_t shared_bytes, int32_t dtype, bool backward) {
  constexpr int64_t kEnough = 163 << 10;
  if (shared_bytes >= kEnough) return kMaxHeadDim;
  if (dtype == PRECIS_BFLOAT16) return backward ? 64 : kMaxHeadDim;
  return 128;
}

}  // namespace precis

#endif  // PRECIS_CUDA_KERNELS_H_
