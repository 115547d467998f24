// y[m, n] += alpha x[m, n], rounded once                                       native/src/ops/add.h
#include "elements.cuh"
#include "kernels.h"
#include "ops/add.h"

namespace precis {
namespace {

struct Add {
  AnyMatrix x, y;
  float alpha;

  __device__ void operator()(int64_t m, int64_t n, int count) const {
    float v[kEight], sum[kEight];
    x.load(m, n, count, v);
    y.load(m, n, count, sum);
#pragma unroll
    for (int i = 0; i < kEight; i++) sum[i] = fmaf(alpha, v[i], sum[i]);
    y.save(m, n, count, sum);
  }
};

}  // namespace

cudaError_t add_cuda(CudaContext& context, const precis_add_args& a) {
  const Add f = {any_matrix(a.x), any_matrix(a.y), a.alpha};
  return for_elements("add", context.stream, rows(a.y), columns(a.y), f);
}

}  // namespace precis
