// dx = dy act'(x), or gated dx[m, f] = dy act'(x[m, f]) x[m, F + f], dx[m, F + f] = dy act(x[m, f])
//                                                              native/src/ops/activation_backward.h
#include "activation_functions.cuh"
#include "element_dropout.cuh"
#include "elements.cuh"
#include "fused_ops.h"
#include "ops/activation_backward.h"

namespace precis {
namespace {

template <class Act>
struct ActivationBackward {
  AnyMatrix x, dy, dx;
  int64_t gate;
  MatrixDropout before;  // of dy, in place

  static constexpr int kAhead = 2;
  struct Held {
    AnyEight x, dy, factor;
  };
  __device__ __forceinline__ Held load(int64_t m, int64_t n, int count) const {
    return {x.raw(m, n, count), dy.raw(m, n, count), x.raw(m, gate + n, gate > 0 ? count : 0)};
  }
  __device__ __forceinline__ void operator()(int64_t m, int64_t n, int count,
                                             const Held& held) const {
    float in[kEight], factor[kEight], gradient[kEight], other[kEight];
    held.x.convert(in);
    held.dy.convert(gradient);
    held.factor.convert(factor);
    if (before.y.data != nullptr) before(m, n, count, gradient);
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      float y;
      const float slope = Act::slope(in[i], &y);
      other[i] = gradient[i] * y;
      gradient[i] *= slope * (gate > 0 ? factor[i] : 1.0f);
    }
    dx.save(m, n, count, gradient);
    if (gate > 0) dx.save(m, gate + n, count, other);
  }
};

}  // namespace

static cudaError_t run(CudaContext& context, const precis_activation_backward_args& a,
                       const MatrixDropout& before) {
  return with_activation(a.kind, [&](auto act) {
    const ActivationBackward<decltype(act)> f = {
        any_matrix(a.x), any_matrix(a.dy), any_matrix(a.dx), a.gated ? columns(a.dy) : 0, before};
    return for_elements("activation_backward", context.stream, rows(a.dy), columns(a.dy), f);
  });
}

cudaError_t activation_backward_cuda(CudaContext& context,
                                     const precis_activation_backward_args& a) {
  return run(context, a, {});
}

cudaError_t activation_backward_dropped(CudaContext& context,
                                        const precis_activation_backward_args& a,
                                        const precis_dropout_args& dropout) {
  return run(context, a, matrix_dropout(dropout));
}

}  // namespace precis
