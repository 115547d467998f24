// exp and log of float32 that are bitwise identical on every device. They consist of additions,
// multiplications, fused multiply-adds, integer operations and bit casts, each of which IEEE 754
// defines exactly. A product is added to something only by portable_fma, so a compiler that
// contracts cannot change a bit. Loops over these functions vectorize. The sampled tokens depend on
// them.
//
// Largest error over the ranges given, measured against double: exp 1.1, log 1.1 units in the last
// place (tests/random_test.cc).
#ifndef PRECIS_RANDOM_PORTABLE_MATH_H_
#define PRECIS_RANDOM_PORTABLE_MATH_H_

#include <cstdint>

#if defined(__CUDACC__)
#define PRECIS_HOST_DEVICE __host__ __device__
#else
#define PRECIS_HOST_DEVICE
#endif

namespace precis {

PRECIS_HOST_DEVICE static inline uint32_t float_bits(float x) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(x);
#else
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
#endif
}

PRECIS_HOST_DEVICE static inline float float_of_bits(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
#endif
}

// a b + c, rounded once.
PRECIS_HOST_DEVICE static inline float portable_fma(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return __fmaf_rn(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}

// e^x for x <= 88; 0 below -86. Reduction by ln 2 in two parts; 1 + r + r^2 Q(r) with Q of degree 4
// fitted to 3e-9 relative on [-ln 2 / 2, ln 2 / 2].
PRECIS_HOST_DEVICE static inline float portable_exp(float x) {
  const float clamped = x < -86.0f ? -86.0f : x;
  const float magic = 12582912.0f;  // 1.5 2^23: adding it rounds to an integer
  const float shifted = portable_fma(clamped, 1.44269502f, magic);
  const float n = shifted - magic;
  float r = portable_fma(n, -0.693359375f, clamped);
  r = portable_fma(n, 2.12194444e-4f, r);
  float q = 0.00138144335f;
  q = portable_fma(q, r, 0.00836879667f);
  q = portable_fma(q, r, 0.0416683964f);
  q = portable_fma(q, r, 0.166665196f);
  q = portable_fma(q, r, 0.49999994f);
  const float e = portable_fma(r * r, q, r) + 1.0f;
  const float scaled = float_of_bits(float_bits(e) + (float_bits(shifted) << 23));
  return x < -86.0f ? 0.0f : scaled;
}

// log(2^k (1 + f)) for f in [sqrt(1/2) - 1, sqrt(2) - 1]: f - f^2 / 2 + f^3 R(f), R of degree 7
// fitted to 6e-9 relative.
PRECIS_HOST_DEVICE static inline float portable_log_parts(float k, float f) {
  float p = -0.0763450041f;
  p = portable_fma(p, f, 0.127615824f);
  p = portable_fma(p, f, -0.131601825f);
  p = portable_fma(p, f, 0.142017573f);
  p = portable_fma(p, f, -0.166233569f);
  p = portable_fma(p, f, 0.200012267f);
  p = portable_fma(p, f, -0.250008196f);
  p = portable_fma(p, f, 0.333333313f);
  p = portable_fma(p, f, -0.5f);
  const float low = portable_fma(k, -2.12194444e-4f, f * f * p);
  return portable_fma(k, 0.693359375f, f + low);
}

// The exponent k and the fraction f of x = 2^k (1 + f), for portable_log_parts; x normal and > 0.
PRECIS_HOST_DEVICE static inline void portable_log_split(float x, float* k, float* f) {
  const uint32_t half = 0x3f3504f3u;  // sqrt(1/2)
  const uint32_t shifted = float_bits(x) - half;
  *k = static_cast<float>(static_cast<int32_t>(shifted) >> 23);
  *f = float_of_bits((shifted & 0x7fffffu) + half) - 1.0f;
}

// The natural logarithm of a normal x > 0.
PRECIS_HOST_DEVICE static inline float portable_log(float x) {
  float k, f;
  portable_log_split(x, &k, &f);
  return portable_log_parts(k, f);
}

}  // namespace precis

#endif  // PRECIS_RANDOM_PORTABLE_MATH_H_
