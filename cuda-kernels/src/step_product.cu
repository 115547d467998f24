// The products of a decoding step: their choice, and the kernels for bfloat16 weights.
#include "step_product.cuh"

namespace precis {

// Tells whether x can go through shared memory, in the smallest tile.
static bool can_stage(const CudaContext& context, const Product& p) {
  using B = step::Block<Bf16, 1, 2, 4, true, true>;
  return static_cast<int64_t>(step::block_bytes<B>(p)) <= context.block_shared_bytes;
}

bool is_step_product(const CudaContext& context, const Product& p, int32_t dtype) {
  // This must not depend on the number of rows.
  return p.step && (dtype == PRECIS_BFLOAT16 || dtype == PRECIS_INT8) && !p.separate_z &&
         p.t == nullptr && p.down == nullptr && p.dropout.of == PRECIS_LORA_DROPOUT_NONE &&
         p.ranks <= kMaxLoraRanks && (step::is_unstaged(p) || can_stage(context, p));
}

bool step_takes_norm(const CudaContext& context, const Product& p) {
  // Every block of a row normalizes it again: with more blocks a launch costs less.
  constexpr int64_t kBlocks = 8;  // for a multiprocessor
  return can_stage(context, p) &&
         ceil_div(p.outputs, 64) * ceil_div(p.rows, 16) <= kBlocks * context.multiprocessors;
}

bool step_takes_activation(const CudaContext& context, const Product& p) {
  return p.ranks == 0 && can_stage(context, p);
}

bool step_takes_attention(const CudaContext& context, const Product& p) {
  using B = step::Block<Bf16, 1, 8, 3, false, true, step::Attend>;
  return p.ranks == 0 && static_cast<int64_t>(step::block_bytes<B>(p)) + step::kStaticBytes <=
                             context.block_shared_bytes;
}

cudaError_t step_product(CudaContext& context, const Product& p) {
  if (p.rows == 0) return cudaSuccess;
  return p.w_scales != nullptr ? step::run_int8(context, p) : step::run_product<Bf16>(context, p);
}

cudaError_t step_attention(CudaContext& context, const Product& p,
                           const precis_attention_decode_args& a) {
  return p.w_scales != nullptr ? step::run_int8_attention(context, p, a)
                               : step::run_attention<Bf16>(context, p, a);
}

}  // namespace precis
