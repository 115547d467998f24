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
cudaError_t embedding_backward_cuda(CudaContext& context, const precis_embedding_backward_args& a);
cudaError_t add_cuda(CudaContext& context, const precis_add_args& a);
cudaError_t convert_cuda(CudaContext& context, const precis_convert_args& a);
cudaError_t dropout_cuda(CudaContext& context, const precis_dropout_args& a);
cudaError_t softmax_cuda(CudaContext& context, const precis_softmax_args& a);
cudaError_t adam_cuda(CudaContext& context, const precis_adam_args& a);
cudaError_t sum_of_squares_cuda(CudaContext& context, const precis_sum_of_squares_args& a);
cudaError_t sample_cuda(CudaContext& context, const precis_sample_args& a);

}  // namespace precis

#endif  // PRECIS_CUDA_KERNELS_H_
