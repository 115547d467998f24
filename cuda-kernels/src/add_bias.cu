// y[m, n] += bias[n]                                                      native/src/ops/add_bias.h
#include "elements.cuh"
#include "kernels.h"
#include "ops/add_bias.h"

namespace precis {
namespace {

struct AddBias {
  AnyMatrix y;
  const float* bias;

  static constexpr int kAhead = 2;
  struct Held {
    AnyEight y;
    RawEight<float> bias;
  };
  __device__ __forceinline__ Held load(int64_t m, int64_t n, int count) const {
    Held held;
    held.y = y.raw(m, n, count);
    held.bias.load(bias + n, count);
    return held;
  }
  __device__ __forceinline__ void operator()(int64_t m, int64_t n, int count,
                                             const Held& held) const {
    float v[kEight], b[kEight];
    held.y.convert(v);
    held.bias.convert(b);
#pragma unroll
    for (int i = 0; i < kEight; i++) v[i] += b[i];
    y.save(m, n, count, v);
  }
};

}  // namespace

cudaError_t add_bias_cuda(CudaContext& context, const precis_add_bias_args& a) {
  const AddBias f = {any_matrix(a.y), static_cast<const float*>(a.bias.data)};
  return for_elements("add_bias", context.stream, rows(a.y), columns(a.y), f);
}

}  // namespace precis
