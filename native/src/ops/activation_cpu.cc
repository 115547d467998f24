#include "context.h"
#include "cpu/vec.h"
#include "ops/activation.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

// max and min return their second argument when either is NaN: NaN passes through.
// Below -100 all but ReLU are 0 in float32; without the bound, a huge negative x times what the
// clamped exponential leaves would not be.
struct Relu {
  static inline Vec act(Vec x) { return max(Vec::zero(), x); }
};
struct Silu {
  static inline Vec act(Vec x) {
    x = max(Vec::set1(-100.0f), x);
    return x / (Vec::set1(1.0f) + exp(Vec::zero() - x));
  }
};
struct GeluTanh {
  // 0.5 (1 + tanh u) = 1 / (1 + e^-2u): no cancellation for negative x.
  static inline Vec act(Vec x) {
    x = max(Vec::set1(-100.0f), x);
    const Vec c = Vec::set1(-1.5957691216f), d = Vec::set1(-1.5957691216f * 0.044715f);
    return x / (Vec::set1(1.0f) + exp(x * fma(d, x * x, c)));
  }
};
struct GeluErf {
  // x Phi(x) = max(x, 0) - |x| Phi(-|x|)
  static inline Vec act(Vec x) {
    const Vec magnitude = min(Vec::set1(100.0f), max(x, Vec::zero() - x));
    const Vec tail = Vec::set1(0.5f) * erfc(magnitude * Vec::set1(0.70710678f));
    return max(Vec::zero(), x) - magnitude * tail;
  }
};

template <class Kind, bool kGated, class X, class Y>
void activation_rows(const precis_activation_args& a, int64_t begin, int64_t end) {
  const int64_t n = columns(a.y);
  for (int64_t m = begin; m < end; m++) {
    const X* x = row<const X>(a.x, m);
    Y* y = row<Y>(a.y, m);
    int64_t f = 0;
    for (; f + Vec::kWidth <= n; f += Vec::kWidth) {
      Vec v = Kind::act(Vec::load(x + f));
      if (kGated) v = v * Vec::load(x + n + f);
      v.store(y + f);
    }
    if (f < n) {
      const int left = static_cast<int>(n - f);
      Vec v = Kind::act(Vec::load(x + f, left));
      if (kGated) v = v * Vec::load(x + n + f, left);
      v.store(y + f, left);
    }
  }
}

template <class Kind, bool kGated>
void run(CpuContext& context, const precis_activation_args& a) {
  const bool from_bf16 = a.x.dtype == PRECIS_BFLOAT16, to_bf16 = a.y.dtype == PRECIS_BFLOAT16;
  const int64_t grain = columns(a.y) > 0 ? 1 + 8192 / columns(a.y) : 1;
  parallel_ranges(context.pool, rows(a.y), grain, [&](int64_t begin, int64_t end) {
    if (from_bf16) {
      to_bf16 ? activation_rows<Kind, kGated, uint16_t, uint16_t>(a, begin, end)
              : activation_rows<Kind, kGated, uint16_t, float>(a, begin, end);
    } else {
      to_bf16 ? activation_rows<Kind, kGated, float, uint16_t>(a, begin, end)
              : activation_rows<Kind, kGated, float, float>(a, begin, end);
    }
  });
}

template <class Kind>
void run(CpuContext& context, const precis_activation_args& a) {
  a.gated ? run<Kind, true>(context, a) : run<Kind, false>(context, a);
}

}  // namespace

void activation_cpu(CpuContext& context, const precis_activation_args& a) {
  switch (a.kind) {
    case PRECIS_RELU:
      return run<Relu>(context, a);
    case PRECIS_GELU_TANH:
      return run<GeluTanh>(context, a);
    case PRECIS_GELU_ERF:
      return run<GeluErf>(context, a);
    default:
      return run<Silu>(context, a);
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis
