// One step of gradient descent with momentum, in one pass                      native/src/ops/sgd.h
#include "elements.cuh"
#include "kernels.h"
#include "ops/sgd.h"

namespace precis {
namespace {

struct Sgd {
  float* parameter;
  const float* gradient;
  float* buffer;  // nullptr without momentum
  float rate, momentum, decay, scale;
  bool first;

  static constexpr int kAhead = 2;
  struct Held {
    RawEight<float> parameter, gradient, buffer;
  };
  __device__ __forceinline__ Held load(int64_t, int64_t n, int count) const {
    Held held;
    held.parameter.load(parameter + n, count);
    held.gradient.load(gradient + n, count);
    held.buffer.clear();
    if (buffer != nullptr && !first) held.buffer.load(buffer + n, count);
    return held;
  }
  __device__ __forceinline__ void operator()(int64_t, int64_t n, int count,
                                             const Held& held) const {
    float p[kEight], g[kEight], b[kEight];
    held.parameter.convert(p);
    held.gradient.convert(g);
#pragma unroll
    for (int i = 0; i < kEight; i++) g[i] = fmaf(decay, p[i], scale * g[i]);
    if (buffer != nullptr) {
      if (!first) {
        held.buffer.convert(b);
#pragma unroll
        for (int i = 0; i < kEight; i++) g[i] = fmaf(momentum, b[i], g[i]);
      }
      store8(buffer + n, count, g);
    }
#pragma unroll
    for (int i = 0; i < kEight; i++) p[i] = fmaf(-rate, g[i], p[i]);
    store8(parameter + n, count, p);
  }
};

}  // namespace

cudaError_t sgd_cuda(CudaContext& context, const precis_sgd_args& a) {
  const Sgd f = {static_cast<float*>(a.parameter.data),
                 static_cast<const float*>(a.gradient.data),
                 a.momentum != 0 ? static_cast<float*>(a.buffer.data) : nullptr,
                 a.learning_rate,
                 a.momentum,
                 a.weight_decay,
                 a.gradient_scale,
                 a.step <= 1};
  return for_elements("sgd", context.stream, 1, columns(a.parameter), f);
}

}  // namespace precis
