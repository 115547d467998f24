// y = act(x), or gated y[m, f] = act(x[m, f]) x[m, F + f]               native/src/ops/activation.h
//
// The kernel is memory-bound, so expf costs no more time than __expf, and it is accurate to the
// last bits of float32.
#include "activation_functions.cuh"
#include "element_dropout.cuh"
#include "elements.cuh"
#include "fused_ops.h"
#include "ops/activation.h"

namespace precis {
namespace {

template <class Act>
struct Activation {
  AnyMatrix x, y;
  int64_t gate;  // columns from x to its factor; 0 without one
  MatrixDropout after;

  static constexpr int kAhead = 2;
  struct Held {
    AnyEight x, factor;
  };
  __device__ __forceinline__ Held load(int64_t m, int64_t n, int count) const {
    return {x.raw(m, n, count), x.raw(m, gate + n, gate > 0 ? count : 0)};
  }
  __device__ __forceinline__ void operator()(int64_t m, int64_t n, int count,
                                             const Held& held) const {
    float v[kEight], factor[kEight];
    held.x.convert(v);
    held.factor.convert(factor);
#pragma unroll
    for (int i = 0; i < kEight; i++) v[i] = Act::act(v[i]) * (gate > 0 ? factor[i] : 1.0f);
    if (after.y.data != nullptr) {
      after(m, n, count, v);
    } else {
      y.save(m, n, count, v);
    }
  }
};

}  // namespace

static cudaError_t run(CudaContext& context, const precis_activation_args& a,
                       const MatrixDropout& after) {
  return with_activation(a.kind, [&](auto act) {
    const Activation<decltype(act)> f = {any_matrix(a.x), any_matrix(a.y),
                                         a.gated ? columns(a.y) : 0, after};
    return for_elements("activation", context.stream, rows(a.y), columns(a.y), f);
  });
}

cudaError_t activation_cuda(CudaContext& context, const precis_activation_args& a) {
  return run(context, a, {});
}

cudaError_t activation_dropped(CudaContext& context, const precis_activation_args& a,
                               const precis_dropout_args& dropout) {
  return run(context, a, matrix_dropout(dropout));
}

}  // namespace precis
