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
cudaError_t process_logits_cuda(CudaContext& context, const precis_process_logits_args& a);
cudaError_t top_k_cuda(CudaContext& context, const precis_top_k_args& a);
cudaError_t layer_norm_cuda(CudaContext& context, const precis_layer_norm_args& a);
cudaError_t layer_norm_backward_cuda(CudaContext& context,
                                     const precis_layer_norm_backward_args& a);
cudaError_t add_bias_cuda(CudaContext& context, const precis_add_bias_args& a);
cudaError_t bias_gradient_cuda(CudaContext& context, const precis_bias_gradient_args& a);
cudaError_t sgd_cuda(CudaContext& context, const precis_sgd_args& a);
cudaError_t adafactor_cuda(CudaContext& context, const precis_adafactor_args& a);
cudaError_t zero_cuda(CudaContext& context, const precis_zero_args& a);

// A packed weight on this device: rows of outputs, K contiguous, both padded with zeros to
// multiples of 64. It is what cuBLASLt and the copy engine read, and no copy of a tile needs a
// bound in K.
struct CudaPackedLayout {
  int64_t rows;
  int64_t stride;
  int64_t bytes;
};
constexpr int64_t kCudaPackMultiple = 64;
static inline CudaPackedLayout cuda_packed_layout(int64_t outputs, int64_t inputs, int32_t dtype) {
  CudaPackedLayout p;
  p.rows = ceil_div(outputs, kCudaPackMultiple) * kCudaPackMultiple;
  p.stride = ceil_div(inputs, kCudaPackMultiple) * kCudaPackMultiple;
  p.bytes = p.rows * p.stride * (dtype == PRECIS_BFLOAT16 ? 2 : 4);
  return p;
}
// Not for int8.
cudaError_t matmul_pack_cuda(CudaContext& context, const precis_matmul_pack_args& a);
cudaError_t transpose_packed_cuda(CudaContext& context, const precis_transpose_packed_args& a);
cudaError_t matmul_cuda(CudaContext& context, const precis_matmul_args& a);
// bfloat16 weights take up to 128 ranks together.
constexpr int64_t kMaxLoraRanks = 128;
// Its gradient with respect to x is this product too, of dy and the weights packed transposed;
// those with respect to A and B are weight_gradient's, of down.
cudaError_t lora_matmul_cuda(CudaContext& context, const precis_lora_matmul_args& a);
cudaError_t weight_gradient_cuda(CudaContext& context, const precis_weight_gradient_args& a);

// Heads are at most this wide, in attention too.
constexpr int kMaxHeadDim = 256;
cudaError_t attention_cuda(CudaContext& context, const precis_attention_args& a);
cudaError_t attention_backward_cuda(CudaContext& context, const precis_attention_backward_args& b);
cudaError_t attention_decode_cuda(CudaContext& context, const precis_attention_decode_args& a);

// Here labels are in device memory: one outside the vocabulary is noted, and its row left out.
cudaError_t linear_cross_entropy_cuda(CudaContext& context,
                                      const precis_linear_cross_entropy_args& a);
cudaError_t log_probability_cuda(CudaContext& context, const precis_log_probability_args& a);
cudaError_t ppo_loss_cuda(CudaContext& context, const precis_ppo_loss_args& a);

}  // namespace precis

#endif  // PRECIS_CUDA_KERNELS_H_
