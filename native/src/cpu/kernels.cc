#include "cpu/kernels.h"

#include "ops/activation.h"
#include "ops/activation_backward.h"
#include "ops/adafactor.h"
#include "ops/adam.h"
#include "ops/add.h"
#include "ops/add_bias.h"
#include "ops/attention.h"
#include "ops/attention_backward.h"
#include "ops/attention_decode.h"
#include "ops/bias_gradient.h"
#include "ops/convert.h"
#include "ops/disentangled_attention.h"
#include "ops/distillation_loss.h"
#include "ops/dropout.h"
#include "ops/embedding.h"
#include "ops/embedding_backward.h"
#include "ops/layer_norm.h"
#include "ops/layer_norm_backward.h"
#include "ops/linear_cross_entropy.h"
#include "ops/log_probability.h"
#include "ops/lora_matmul.h"
#include "ops/matmul.h"
#include "ops/ppo_loss.h"
#include "ops/process_logits.h"
#include "ops/rms_norm.h"
#include "ops/rms_norm_backward.h"
#include "ops/sample.h"
#include "ops/sgd.h"
#include "ops/softmax.h"
#include "ops/sum_of_squares.h"
#include "ops/top_k.h"
#include "ops/transpose_packed.h"
#include "ops/weight_gradient.h"
#include "ops/zero.h"

namespace precis {
namespace PRECIS_ISA {

#define PRECIS_KERNEL(op) .op = op##_cpu,
extern const CpuKernels kernels = {PRECIS_FOR_EACH_OP(PRECIS_KERNEL)};
#undef PRECIS_KERNEL

}  // namespace PRECIS_ISA
}  // namespace precis
