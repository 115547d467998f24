// The launchers, one for each src/<op>.cu. Shapes and formulas are in native/src/ops/<op>.h;
// arguments have been checked as far as that needs no look at device memory.
#ifndef PRECIS_CUDA_KERNELS_H_
#define PRECIS_CUDA_KERNELS_H_

#include "cuda_context.h"

namespace precis {

cudaError_t rms_norm_cuda(CudaContext& context, const precis_rms_norm_args& a);
cudaError_t rms_norm_backward_cuda(CudaContext& context, const precis_rms_norm_backward_args& a);
cudaError_t embedding_cuda(CudaContext& context, const precis_embedding_args& a);
cudaError_t activation_cuda(CudaContext& context, const precis_activation_args& a);
cudaError_t activation_backward_cuda(CudaContext& context,
                                     const precis_activation_backward_args& a);

}  // namespace precis

#endif  // PRECIS_CUDA_KERNELS_H_
