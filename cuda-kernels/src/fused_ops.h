// Launches of two operations by one kernel, and of several of one kind, none of which reads or writes
// what another one writes. Each gives what its operations give one by one.
#ifndef PRECIS_CUDA_FUSED_OPS_H_
#define PRECIS_CUDA_FUSED_OPS_H_

#include "kernels.h"

namespace precis {

constexpr int kMostConverts = 48, kMostPacks = 20;

cudaError_t converts(CudaContext& context, const precis_convert_args* all, int count);
// The sources are in device memory; no dtype is int8.
cudaError_t matmul_packs(CudaContext& context, const precis_matmul_pack_args* all, int count);

// y = base + dropout(x), where y was to be a copy of base: float32, of y's dims.
cudaError_t dropout_onto(CudaContext& context, const precis_dropout_args& a,
                         const precis_tensor& base);
// An activation whose result is dropped in place.
cudaError_t activation_dropped(CudaContext& context, const precis_activation_args& a,
                               const precis_dropout_args& dropout);
// The gradient of that: dy is dropped in place before it is read.
cudaError_t activation_backward_dropped(CudaContext& context,
                                        const precis_activation_backward_args& a,
                                        const precis_dropout_args& dropout);
// A norm's gradient dx, and its dropout elsewhere.
cudaError_t rms_norm_backward_dropped(CudaContext& context, const precis_rms_norm_backward_args& a,
                                      const precis_dropout_args& dropout);

}  // namespace precis

#endif  // PRECIS_CUDA_FUSED_OPS_H_
