// The list of all operations, for everything that is made for each of them.
#ifndef PRECIS_OPERATIONS_H_
#define PRECIS_OPERATIONS_H_

// precis_<op> takes precis_<op>_args.
#define PRECIS_FOR_EACH_OP(X) \
  X(attention)                \
  X(attention_backward)       \
  X(attention_decode)         \
  X(convert)                  \
  X(disentangled_attention)   \
  X(matmul_pack)              \
  X(transpose_packed)         \
  X(matmul)                   \
  X(lora_matmul)              \
  X(weight_gradient)          \
  X(linear_cross_entropy)     \
  X(log_probability)          \
  X(ppo_loss)                 \
  X(distillation_loss)        \
  X(rms_norm)                 \
  X(rms_norm_backward)        \
  X(layer_norm)               \
  X(layer_norm_backward)      \
  X(embedding)                \
  X(embedding_backward)       \
  X(activation)               \
  X(activation_backward)      \
  X(add)                      \
  X(add_bias)                 \
  X(bias_gradient)            \
  X(dropout)                  \
  X(softmax)                  \
  X(top_k)                    \
  X(process_logits)           \
  X(sample)                   \
  X(sum_of_squares)           \
  X(adam)                     \
  X(sgd)                      \
  X(adafactor)                \
  X(zero)

#endif  // PRECIS_OPERATIONS_H_
