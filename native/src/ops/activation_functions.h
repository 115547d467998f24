// The activation functions and their slopes, in vectors.
#ifndef PRECIS_OPS_ACTIVATION_FUNCTIONS_H_
#define PRECIS_OPS_ACTIVATION_FUNCTIONS_H_

#include "cpu/vec.h"
#include "precis.h"

namespace precis {
namespace PRECIS_ISA {

// max and min return their second argument when either is NaN: NaN passes through.
// Below -100 every function but ReLU and tanh is 0 in float32. Without the bound, a huge negative x
// would be multiplied by what the clamped exponential leaves, which is not 0. Slopes compute 1 - s,
// where s = 1 / (1 + e), as e s, which does not cancel.
struct Relu {
  static inline Vec act(Vec x) { return max(Vec::zero(), x); }
  static inline Vec slope(Vec x, Vec* y) {
    *y = act(x);
    return if_positive(x, Vec::set1(1.0f), Vec::zero());
  }
};

struct Silu {
  static inline Vec act(Vec x) {
    x = max(Vec::set1(-100.0f), x);
    return x / (Vec::set1(1.0f) + exp(Vec::zero() - x));
  }
  // s (1 + x (1 - s))
  static inline Vec slope(Vec x, Vec* y) {
    x = max(Vec::set1(-100.0f), x);
    const Vec one = Vec::set1(1.0f), e = exp(Vec::zero() - x), s = one / (one + e);
    *y = x * s;
    return s * fma(min(Vec::set1(100.0f), x), e * s, one);
  }
};

struct GeluTanh {
  // 0.5 (1 + tanh u) = 1 / (1 + e^-2u) does not cancel for negative x.
  static inline Vec act(Vec x) {
    x = max(Vec::set1(-100.0f), x);
    const Vec c = Vec::set1(-1.5957691216f), d = Vec::set1(-1.5957691216f * 0.044715f);
    return x / (Vec::set1(1.0f) + exp(x * fma(d, x * x, c)));
  }
  // s (1 + x (1 - s) 2 u')
  static inline Vec slope(Vec x, Vec* y) {
    x = max(Vec::set1(-100.0f), x);
    const Vec bounded = min(Vec::set1(100.0f), x), square = bounded * bounded;
    const Vec c = Vec::set1(1.5957691216f), d = Vec::set1(1.5957691216f * 0.044715f);
    const Vec one = Vec::set1(1.0f), e = exp(Vec::zero() - bounded * fma(d, square, c));
    const Vec s = one / (one + e);
    *y = x * s;
    return s * fma(bounded * fma(Vec::set1(3.0f) * d, square, c), e * s, one);
  }
};

struct GeluErf {
  // Phi(-|x|)
  static inline Vec tail(Vec magnitude) {
    return Vec::set1(0.5f) * erfc(magnitude * Vec::set1(0.70710678f));
  }
  static inline Vec magnitude(Vec x) { return min(Vec::set1(100.0f), max(x, Vec::zero() - x)); }
  // x Phi(x) = max(x, 0) - |x| Phi(-|x|)
  static inline Vec act(Vec x) {
    const Vec m = magnitude(x);
    return max(Vec::zero(), x) - m * tail(m);
  }
  // Phi(x) + x phi(x)
  static inline Vec slope(Vec x, Vec* y) {
    const Vec m = magnitude(x), t = tail(m);
    *y = max(Vec::zero(), x) - m * t;
    const Vec density = Vec::set1(0.39894228f) * exp(Vec::set1(-0.5f) * m * m);
    const Vec rest = m * density - t;
    return if_positive(x, Vec::set1(1.0f) + rest, Vec::zero() - rest);
  }
};

struct Tanh {
  static inline Vec act(Vec x) { return tanh(x); }
  // 1 - tanh^2 = 4 e / (1 + e)^2 with e = e^-2|x|
  static inline Vec slope(Vec x, Vec* y) {
    *y = tanh(x);
    const Vec one = Vec::set1(1.0f), e = exp(min(x + x, Vec::zero() - (x + x)));
    return Vec::set1(4.0f) * e / ((one + e) * (one + e));
  }
};

// Calls f with the functions of that kind.
template <class F>
static inline void with_activation(int32_t kind, const F& f) {
  switch (kind) {
    case PRECIS_RELU:
      return f(Relu{});
    case PRECIS_GELU_TANH:
      return f(GeluTanh{});
    case PRECIS_GELU_ERF:
      return f(GeluErf{});
    case PRECIS_SILU:
      return f(Silu{});
    default:
      return f(Tanh{});
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_OPS_ACTIVATION_FUNCTIONS_H_
