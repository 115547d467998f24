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
#include "ops/weight_gradient.h"

namespace precis {
namespace PRECIS_ISA {

extern const CpuKernels kernels = {
    .attention = attention_cpu,
    .attention_backward = attention_backward_cpu,
    .attention_decode = attention_decode_cpu,
    .convert = convert_cpu,
    .matmul_pack = matmul_pack_cpu,
    .matmul = matmul_cpu,
    .lora_matmul = lora_matmul_cpu,
    .weight_gradient = weight_gradient_cpu,
    .linear_cross_entropy = linear_cross_entropy_cpu,
    .log_probability = log_probability_cpu,
    .ppo_loss = ppo_loss_cpu,
    .rms_norm = rms_norm_cpu,
    .embedding = embedding_cpu,
    .activation = activation_cpu,
    .softmax = softmax_cpu,
    .top_k = top_k_cpu,
    .process_logits = process_logits_cpu,
    .sample = sample_cpu,
    .add = add_cpu,
    .rms_norm_backward = rms_norm_backward_cpu,
    .activation_backward = activation_backward_cpu,
    .sum_of_squares = sum_of_squares_cpu,
    .layer_norm = layer_norm_cpu,
    .layer_norm_backward = layer_norm_backward_cpu,
    .add_bias = add_bias_cpu,
    .bias_gradient = bias_gradient_cpu,
    .adam = adam_cpu,
    .embedding_backward = embedding_backward_cpu,
    .dropout = dropout_cpu,
    .sgd = sgd_cpu,
    .adafactor = adafactor_cpu,
};

}  // namespace PRECIS_ISA
}  // namespace precis
