// y = alpha x W' (+ y)                                                      native/src/ops/matmul.h
//
// In a context with cuBLASLt the product goes there if types and alignment suit it. Otherwise it is
// a fused LoRA product (lora_matmul.cuh) without adapters: the same kernels, instantiated for no
// ranks.
#include "cublaslt.h"
#include "lora_matmul.cuh"
#include "ops/matmul.h"

namespace precis {

cudaError_t matmul_cuda(CudaContext& context, const precis_matmul_args& a) {
  bool done = false;
  if (context.cublaslt != nullptr) {
    PRECIS_RETURN_IF_ERROR(context.cublaslt->multiply(context, a, &done));
  }
  if (done) return cudaSuccess;
  return run_product(context, plain_product(a.x, a.w, a.y, a.alpha, a.accumulate, a.step),
                     a.w.dtype);
}

}  // namespace precis
