// y[m, n] += alpha x[m, n], rounded once                                       native/src/ops/add.h
#include "elements.cuh"
#include "kernels.h"
#include "ops/add.h"

namespace precis {
namespace {

struct Add {
  AnyMatrix x, y;
  float alpha;

  static constexpr int kAhead = 2;
  struct Held {
    AnyEight x, y;
  };
  __device__ __forceinline__ Held load(int64_t m, int64_t n, int count) const {
    return {x.raw(m, n, count), y.raw(m, n, count)};
  }
  __device__ __forceinline__ void operator()(int64_t m, int64_t n, int count,
                                             const Held& held) const {
    float v[kEight], sum[kEight];
    held.x.convert(v);
    held.y.convert(sum);
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
