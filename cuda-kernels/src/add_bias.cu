// y[m, n] += bias[n]                                                      native/src/ops/add_bias.h
#include "elements.cuh"
#include "kernels.h"
#include "ops/add_bias.h"

namespace precis {
namespace {

struct AddBias {
  AnyMatrix y;
  const float* bias;

  __device__ void operator()(int64_t m, int64_t n, int count) const {
    float v[kEight], b[kEight];
    y.load(m, n, count, v);
    load8(bias + n, count, b);
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
