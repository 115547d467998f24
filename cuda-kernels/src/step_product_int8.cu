// The products of a decoding step for int8 weights.
#include "step_product.cuh"

namespace precis::step {

cudaError_t run_int8(CudaContext& context, const Product& p) {
  return run_product<int8_t>(context, p);
}

cudaError_t run_int8_attention(CudaContext& context, const Product& p,
                               const precis_attention_decode_args& a) {
  return run_attention<int8_t>(context, p, a);
}

}  // namespace precis::step
