#include "context.h"
#include "cpu/lanes.h"
#include "ops/adam.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

inline Vec constant(double x) { return Vec::set1(static_cast<float>(x)); }

template <bool kDecoupled>
void adam(CpuContext& context, const precis_adam_args& a) {
  const double lr = a.learning_rate, beta1 = a.beta1, beta2 = a.beta2;
  const double steps = static_cast<double>(a.step);
  const Vec step = constant(lr / (1 - __builtin_pow(beta1, steps)));
  const Vec root = constant(1 / __builtin_sqrt(1 - __builtin_pow(beta2, steps)));
  const Vec keep = constant(1 - lr * a.weight_decay), decay = Vec::set1(a.weight_decay);
  const Vec scale = Vec::set1(a.gradient_scale), epsilon = Vec::set1(a.epsilon);
  const Vec b1 = Vec::set1(a.beta1), rest1 = constant(1 - beta1);
  const Vec b2 = Vec::set1(a.beta2), rest2 = constant(1 - beta2);
  float* parameter = static_cast<float*>(a.parameter.data);
  const float* gradient = static_cast<const float*>(a.gradient.data);
  float* means = static_cast<float*>(a.m.data);
  float* variances = static_cast<float*>(a.v.data);
  parallel_ranges(context.pool, columns(a.parameter), 8192, [&](int64_t begin, int64_t end) {
    each_vector(begin, end, [&](int64_t i, auto lanes) {
      Vec p = lanes.load(parameter + i), g = scale * lanes.load(gradient + i);
      if (kDecoupled) {
        p = keep * p;
      } else {
        g = fma(decay, p, g);
      }
      const Vec m = fma(rest1, g, b1 * lanes.load(means + i));
      const Vec v = fma(rest2 * g, g, b2 * lanes.load(variances + i));
      lanes.store(means + i, m);
      lanes.store(variances + i, v);
      lanes.store(parameter + i, p - step * m / fma(sqrt(v), root, epsilon));
    });
  });
}

}  // namespace

void adam_cpu(CpuContext& context, const precis_adam_args& a) {
  a.decoupled ? adam<true>(context, a) : adam<false>(context, a);
}

}  // namespace PRECIS_ISA
}  // namespace precis
