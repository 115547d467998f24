#include "context.h"
#include "cpu/lanes.h"
#include "ops/sgd.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

enum class Momentum { kNone, kFirst, kLater };

template <Momentum kMomentum>
void sgd(CpuContext& context, const precis_sgd_args& a) {
  const Vec step = Vec::set1(-a.learning_rate), momentum = Vec::set1(a.momentum);
  const Vec decay = Vec::set1(a.weight_decay), scale = Vec::set1(a.gradient_scale);
  float* parameter = static_cast<float*>(a.parameter.data);
  const float* gradient = static_cast<const float*>(a.gradient.data);
  float* buffer = static_cast<float*>(a.buffer.data);
  parallel_ranges(context.pool, columns(a.parameter), 8192, [&](int64_t begin, int64_t end) {
    each_vector(begin, end, [&](int64_t i, auto lanes) {
      const Vec p = lanes.load(parameter + i);
      Vec g = fma(decay, p, scale * lanes.load(gradient + i));
      if (kMomentum == Momentum::kLater) g = fma(momentum, lanes.load(buffer + i), g);
      if (kMomentum != Momentum::kNone) lanes.store(buffer + i, g);
      lanes.store(parameter + i, fma(step, g, p));
    });
  });
}

}  // namespace

void sgd_cpu(CpuContext& context, const precis_sgd_args& a) {
  if (a.momentum == 0) return sgd<Momentum::kNone>(context, a);
  a.step == 1 ? sgd<Momentum::kFirst>(context, a) : sgd<Momentum::kLater>(context, a);
}

}  // namespace PRECIS_ISA
}  // namespace precis
