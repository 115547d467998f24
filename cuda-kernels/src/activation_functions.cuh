// The activation functions and their derivatives.
#ifndef PRECIS_CUDA_ACTIVATION_FUNCTIONS_CUH_
#define PRECIS_CUDA_ACTIVATION_FUNCTIONS_CUH_

#include "device.h"

namespace precis {

// NaN is passed through.
__device__ __forceinline__ float at_least(float least, float x) { return x < least ? least : x; }
__device__ __forceinline__ float at_most(float most, float x) { return x > most ? most : x; }

// 1 / (1 + e^-u) and 1 minus that, without cancellation or overflow.
struct Sigmoid {
  float value, rest;
};
__device__ __forceinline__ Sigmoid sigmoid(float u) {
  const float e = expf(u < 0 ? u : -u), large = 1.0f / (1.0f + e), small = e * large;
  return u < 0 ? Sigmoid{small, large} : Sigmoid{large, small};
}

struct Relu {
  static __device__ __forceinline__ float act(float x) { return at_least(0, x); }
  static __device__ __forceinline__ float slope(float x, float* y) {
    *y = act(x);
    return x > 0 ? 1.0f : 0.0f;
  }
};

struct Silu {
  static __device__ __forceinline__ float act(float x) { return x * sigmoid(x).value; }
  // s (1 + x (1 - s))
  static __device__ __forceinline__ float slope(float x, float* y) {
    const Sigmoid s = sigmoid(x);
    *y = x * s.value;
    return s.value * fmaf(x, s.rest, 1.0f);
  }
};

struct GeluTanh {
  static constexpr float kC = 1.5957691216f, kD = 1.5957691216f * 0.044715f;
  // 0.5 (1 + tanh u) = 1 / (1 + e^-2u)
  static __device__ __forceinline__ float act(float x) {
    return x * sigmoid(x * fmaf(kD, x * x, kC)).value;
  }
  // s (1 + x (1 - s) 2 u'); for |x| > 100 either s or 1 - s is 0.
  static __device__ __forceinline__ float slope(float x, float* y) {
    const float bounded = at_most(100, at_least(-100, x)), square = bounded * bounded;
    const Sigmoid s = sigmoid(bounded * fmaf(kD, square, kC));
    *y = x * s.value;
    return s.value * fmaf(bounded * fmaf(3.0f * kD, square, kC), s.rest, 1.0f);
  }
};

struct GeluErf {
  // Phi(-|x|)
  static __device__ __forceinline__ float tail(float magnitude) {
    return 0.5f * erfcf(magnitude * 0.70710678f);
  }
  // x Phi(x) = max(x, 0) - |x| Phi(-|x|)
  static __device__ __forceinline__ float act(float x) {
    const float m = at_most(100, x < 0 ? -x : x);
    return at_least(0, x) - m * tail(m);
  }
  // Phi(x) + x phi(x)
  static __device__ __forceinline__ float slope(float x, float* y) {
    const float m = at_most(100, x < 0 ? -x : x), t = tail(m);
    *y = at_least(0, x) - m * t;
    const float rest = m * (0.39894228f * expf(-0.5f * m * m)) - t;
    return x > 0 ? 1.0f + rest : -rest;
  }
};

struct Tanh {
  static __device__ __forceinline__ float act(float x) { return tanhf(x); }
  // 1 - tanh^2 = 4 e / (1 + e)^2 with e = e^-2|x|
  static __device__ __forceinline__ float slope(float x, float* y) {
    *y = tanhf(x);
    const float e = expf(-2.0f * (x < 0 ? -x : x));
    return 4.0f * e / ((1.0f + e) * (1.0f + e));
  }
};

// The activation of a kind that is known at run time, for kernels that are not compiled for each of
// them: large, and called for few elements.
__device__ PRECIS_NOINLINE inline float activate(int32_t kind, float x) {
  switch (kind) {
    case PRECIS_RELU:
      return Relu::act(x);
    case PRECIS_GELU_TANH:
      return GeluTanh::act(x);
    case PRECIS_GELU_ERF:
      return GeluErf::act(x);
    case PRECIS_SILU:
      return Silu::act(x);
    default:
      return Tanh::act(x);
  }
}
// Both are returned in registers; through a pointer one would go through local memory.
struct SlopeAndValue {
  float slope, value;
};
template <class Act>
__device__ __forceinline__ SlopeAndValue slope_and_value(float x) {
  SlopeAndValue both;
  both.slope = Act::slope(x, &both.value);
  return both;
}
__device__ PRECIS_NOINLINE inline SlopeAndValue activation_slope(int32_t kind, float x) {
  switch (kind) {
    case PRECIS_RELU:
      return slope_and_value<Relu>(x);
    case PRECIS_GELU_TANH:
      return slope_and_value<GeluTanh>(x);
    case PRECIS_GELU_ERF:
      return slope_and_value<GeluErf>(x);
    case PRECIS_SILU:
      return slope_and_value<Silu>(x);
    default:
      return slope_and_value<Tanh>(x);
  }
}

// Calls f with the activation of that kind and returns its result.
template <class F>
static inline cudaError_t with_activation(int32_t kind, const F& f) {
  switch (kind) {
    case PRECIS_RELU:
      return f(Relu());
    case PRECIS_GELU_TANH:
      return f(GeluTanh());
    case PRECIS_GELU_ERF:
      return f(GeluErf());
    case PRECIS_SILU:
      return f(Silu());
    default:
      return f(Tanh());
  }
}

}  // namespace precis

#endif  // PRECIS_CUDA_ACTIVATION_FUNCTIONS_CUH_
