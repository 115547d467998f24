// One step of Adam or AdamW                                                   native/src/ops/adam.h
//
// One pass reads 16 bytes and writes 12 for each parameter. Everything that does not depend on the
// parameter is computed in double on the host.
#include <cmath>

#include "elements.cuh"
#include "kernels.h"
#include "ops/adam.h"

namespace precis {
namespace {

struct Adam {
  float* parameter;
  const float* gradient;
  float* mean;
  float* variance;
  float step, root, keep, decay, scale, epsilon, beta1, rest1, beta2, rest2;

  __device__ void operator()(int64_t, int64_t n, int count) const {
    float p[kEight], g[kEight], m[kEight], v[kEight];
    load8(parameter + n, count, p);
    load8(gradient + n, count, g);
    load8(mean + n, count, m);
    load8(variance + n, count, v);
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      const float grad = fmaf(decay, p[i], scale * g[i]);
      m[i] = fmaf(rest1, grad, beta1 * m[i]);
      v[i] = fmaf(rest2 * grad, grad, beta2 * v[i]);
      p[i] = keep * p[i] - step * m[i] / fmaf(sqrtf(v[i]), root, epsilon);
    }
    store8(parameter + n, count, p);
    store8(mean + n, count, m);
    store8(variance + n, count, v);
  }
};

}  // namespace

cudaError_t adam_cuda(CudaContext& context, const precis_adam_args& a) {
  const double lr = a.learning_rate, beta1 = a.beta1, beta2 = a.beta2;
  const double steps = static_cast<double>(a.step);
  Adam f;
  f.parameter = static_cast<float*>(a.parameter.data);
  f.gradient = static_cast<const float*>(a.gradient.data);
  f.mean = static_cast<float*>(a.m.data);
  f.variance = static_cast<float*>(a.v.data);
  f.step = static_cast<float>(lr / (1 - std::pow(beta1, steps)));
  f.root = static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, steps)));
  f.keep = a.decoupled ? static_cast<float>(1 - lr * a.weight_decay) : 1.0f;
  f.decay = a.decoupled ? 0.0f : a.weight_decay;
  f.scale = a.gradient_scale;
  f.epsilon = a.epsilon;
  f.beta1 = a.beta1;
  f.rest1 = static_cast<float>(1 - beta1);
  f.beta2 = a.beta2;
  f.rest2 = static_cast<float>(1 - beta2);
  return for_elements("adam", context.stream, 1, columns(a.parameter), f);
}

}  // namespace precis
