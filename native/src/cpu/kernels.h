// The table of CPU kernels, one instance per instruction set.
#ifndef PRECIS_CPU_KERNELS_H_
#define PRECIS_CPU_KERNELS_H_

#include "precis.h"

namespace precis {

struct CpuContext;

struct CpuKernels {
  void (*attention)(CpuContext&, const precis_attention_args&);
  void (*attention_backward)(CpuContext&, const precis_attention_backward_args&);
  void (*attention_decode)(CpuContext&, const precis_attention_decode_args&);
  void (*convert)(CpuContext&, const precis_convert_args&);
  void (*matmul_pack)(CpuContext&, const precis_matmul_pack_args&);
  void (*matmul)(CpuContext&, const precis_matmul_args&);
  void (*lora_matmul)(CpuContext&, const precis_lora_matmul_args&);
  void (*weight_gradient)(CpuContext&, const precis_weight_gradient_args&);
  void (*linear_cross_entropy)(CpuContext&, const precis_linear_cross_entropy_args&);
  void (*log_probability)(CpuContext&, const precis_log_probability_args&);
  void (*ppo_loss)(CpuContext&, const precis_ppo_loss_args&);
  void (*rms_norm)(CpuContext&, const precis_rms_norm_args&);
  void (*embedding)(CpuContext&, const precis_embedding_args&);
  void (*activation)(CpuContext&, const precis_activation_args&);
  void (*softmax)(CpuContext&, const precis_softmax_args&);
  void (*top_k)(CpuContext&, const precis_top_k_args&);
  void (*process_logits)(CpuContext&, const precis_process_logits_args&);
  void (*sample)(CpuContext&, const precis_sample_args&);
  void (*add)(CpuContext&, const precis_add_args&);
  void (*rms_norm_backward)(CpuContext&, const precis_rms_norm_backward_args&);
  void (*activation_backward)(CpuContext&, const precis_activation_backward_args&);
  void (*sum_of_squares)(CpuContext&, const precis_sum_of_squares_args&);
  void (*layer_norm)(CpuContext&, const precis_layer_norm_args&);
  void (*layer_norm_backward)(CpuContext&, const precis_layer_norm_backward_args&);
  void (*add_bias)(CpuContext&, const precis_add_bias_args&);
  void (*bias_gradient)(CpuContext&, const precis_bias_gradient_args&);
  void (*adam)(CpuContext&, const precis_adam_args&);
  void (*embedding_backward)(CpuContext&, const precis_embedding_backward_args&);
  void (*dropout)(CpuContext&, const precis_dropout_args&);
  void (*sgd)(CpuContext&, const precis_sgd_args&);
  void (*adafactor)(CpuContext&, const precis_adafactor_args&);
};

#define PRECIS_DECLARE_ISA(isa)    \
  namespace isa {                  \
  extern const CpuKernels kernels; \
  }
PRECIS_DECLARE_ISA(portable)
PRECIS_DECLARE_ISA(avx2)
PRECIS_DECLARE_ISA(avx512)
PRECIS_DECLARE_ISA(avx512_bf16)
#undef PRECIS_DECLARE_ISA

}  // namespace precis

#endif  // PRECIS_CPU_KERNELS_H_
