// A vector of float32, as wide as the instruction set being compiled for. Kernels are written once
// with it; where an instruction set has an instruction for an operation (bfloat16 pairs, int8
// quads), this header names the operation and each instruction set implements it.
#ifndef PRECIS_CPU_VEC_H_
#define PRECIS_CPU_VEC_H_

#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "cpu/ranges.h"
#include "ops/op.h"

namespace precis {
namespace PRECIS_ISA {

using precis::max;
using precis::min;

#if defined(__AVX512F__)

struct Vec {
  static constexpr int kWidth = 16;
  __m512 v;

  static inline Vec zero() { return {_mm512_setzero_ps()}; }
  static inline Vec set1(float x) { return {_mm512_set1_ps(x)}; }
  static inline Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static inline Vec load(const uint16_t* p) {
    const __m256i h = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16))};
  }
  // The first n lanes; the others are zero and their memory is not touched.
  static inline Vec load(const float* p, int n) {
    return {_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p)};
  }
  static inline Vec load(const uint16_t* p, int n) {
    const __m256i h = _mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << n) - 1), p);
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16))};
  }
  inline void store(float* p) const { _mm512_storeu_ps(p, v); }
  inline void store(uint16_t* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), to_bf16());
  }
  inline void store(float* p, int n) const {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
  }
  inline void store(uint16_t* p, int n) const {
    _mm256_mask_storeu_epi16(p, static_cast<__mmask16>((1u << n) - 1), to_bf16());
  }
  inline float sum() const { return _mm512_reduce_add_ps(v); }
  inline float largest() const { return _mm512_reduce_max_ps(v); }

  // To nearest even, NaN stays NaN: the same bits as float_to_bf16, also for denormals, which
  // VCVTNEPS2BF16 would flush.
  inline __m256i to_bf16() const {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i r = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    r = _mm512_mask_or_epi32(r, nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(r, 16));
  }
};
static inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
static inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
static inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
static inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
static inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
static inline Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
static inline Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
static inline bool any_nan(Vec a, Vec b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_UNORD_Q) != 0; }
// x 2^n for integral n in [-126, 127].
static inline Vec scale2(Vec x, Vec n) { return {_mm512_scalef_ps(x.v, n.v)}; }
static inline Vec round(Vec x) {
  return {_mm512_roundscale_ps(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
static inline Vec sqrt(Vec x) { return {_mm512_sqrt_ps(x.v)}; }
// Selects a where x > 0, and b elsewhere, also where x is NaN.
static inline Vec if_positive(Vec x, Vec a, Vec b) {
  return {_mm512_mask_mov_ps(b.v, _mm512_cmp_ps_mask(x.v, _mm512_setzero_ps(), _CMP_GT_OQ), a.v)};
}

#elif defined(__AVX2__)

struct Vec {
  static constexpr int kWidth = 8;
  __m256 v;

  static inline __m256i mask(int n) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lanes);
  }
  static inline Vec zero() { return {_mm256_setzero_ps()}; }
  static inline Vec set1(float x) { return {_mm256_set1_ps(x)}; }
  static inline Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static inline Vec load(const uint16_t* p) {
    const __m128i h = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16))};
  }
  static inline Vec load(const float* p, int n) { return {_mm256_maskload_ps(p, mask(n))}; }
  static inline Vec load(const uint16_t* p, int n) {
    uint16_t t[8] = {};
    for (int i = 0; i < n; i++) t[i] = p[i];
    return load(t);
  }
  inline void store(float* p) const { _mm256_storeu_ps(p, v); }
  inline void store(uint16_t* p) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), to_bf16());
  }
  inline void store(float* p, int n) const { _mm256_maskstore_ps(p, mask(n), v); }
  inline void store(uint16_t* p, int n) const {
    uint16_t t[8];
    store(t);
    for (int i = 0; i < n; i++) p[i] = t[i];
  }
  inline float sum() const {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  inline float largest() const {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
  }
  inline __m128i to_bf16() const {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i r = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256 nan = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    r = _mm256_castps_si256(
        _mm256_blendv_ps(_mm256_castsi256_ps(r), _mm256_castsi256_ps(quiet), nan));
    r = _mm256_srli_epi32(r, 16);
    const __m256i packed = _mm256_packus_epi32(r, r);
    return _mm_unpacklo_epi64(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1));
  }
};
static inline Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
static inline Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
static inline Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
static inline Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
static inline Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
static inline Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
static inline Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
static inline bool any_nan(Vec a, Vec b) {
  return _mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_UNORD_Q)) != 0;
}
static inline Vec scale2(Vec x, Vec n) {
  const __m256i e =
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127)), 23);
  return {_mm256_mul_ps(x.v, _mm256_castsi256_ps(e))};
}
static inline Vec round(Vec x) {
  return {_mm256_round_ps(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
static inline Vec sqrt(Vec x) { return {_mm256_sqrt_ps(x.v)}; }
static inline Vec if_positive(Vec x, Vec a, Vec b) {
  return {_mm256_blendv_ps(b.v, a.v, _mm256_cmp_ps(x.v, _mm256_setzero_ps(), _CMP_GT_OQ))};
}

#else

struct Vec {
  static constexpr int kWidth = 8;
  float v[8];

  static inline Vec zero() { return set1(0.0f); }
  static inline Vec set1(float x) {
    Vec r;
    for (int i = 0; i < 8; i++) r.v[i] = x;
    return r;
  }
  static inline Vec load(const float* p) { return load(p, 8); }
  static inline Vec load(const uint16_t* p) { return load(p, 8); }
  static inline Vec load(const float* p, int n) {
    Vec r = zero();
    for (int i = 0; i < n; i++) r.v[i] = p[i];
    return r;
  }
  static inline Vec load(const uint16_t* p, int n) {
    Vec r = zero();
    for (int i = 0; i < n; i++) r.v[i] = bf16_to_float(p[i]);
    return r;
  }
  inline void store(float* p) const { store(p, 8); }
  inline void store(uint16_t* p) const { store(p, 8); }
  inline void store(float* p, int n) const {
    for (int i = 0; i < n; i++) p[i] = v[i];
  }
  inline void store(uint16_t* p, int n) const {
    for (int i = 0; i < n; i++) p[i] = float_to_bf16(v[i]);
  }
  inline float sum() const {
    return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
  }
  inline float largest() const {
    float m = v[0];
    for (int i = 1; i < 8; i++) m = v[i] > m ? v[i] : m;
    return m;
  }
};
#define PRECIS_VEC_BINARY(name, expression)          \
  static inline Vec name(Vec a, Vec b) {             \
    Vec r;                                           \
    for (int i = 0; i < 8; i++) r.v[i] = expression; \
    return r;                                        \
  }
PRECIS_VEC_BINARY(operator+, a.v[i] + b.v[i])
PRECIS_VEC_BINARY(operator-, a.v[i] - b.v[i])
PRECIS_VEC_BINARY(operator*, a.v[i] * b.v[i])
PRECIS_VEC_BINARY(operator/, a.v[i] / b.v[i])
PRECIS_VEC_BINARY(max, a.v[i] > b.v[i] ? a.v[i] : b.v[i])
PRECIS_VEC_BINARY(min, a.v[i] < b.v[i] ? a.v[i] : b.v[i])
#undef PRECIS_VEC_BINARY
// Rounds twice: without an fma instruction, a true fma would be a library call for each lane.
static inline Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }
static inline bool any_nan(Vec a, Vec b) {
  bool nan = false;
  for (int i = 0; i < 8; i++) nan |= a.v[i] != a.v[i] || b.v[i] != b.v[i];
  return nan;
}
static inline Vec scale2(Vec x, Vec n) {
  Vec r;
  for (int i = 0; i < 8; i++) {
    const uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(n.v[i]) + 127) << 23;
    float f;
    __builtin_memcpy(&f, &bits, sizeof f);
    r.v[i] = x.v[i] * f;
  }
  return r;
}
static inline Vec round(Vec x) {
  Vec r;
  for (int i = 0; i < 8; i++) r.v[i] = __builtin_rintf(x.v[i]);
  return r;
}
static inline Vec sqrt(Vec x) {
  Vec r;
  for (int i = 0; i < 8; i++) r.v[i] = __builtin_sqrtf(x.v[i]);
  return r;
}
static inline Vec if_positive(Vec x, Vec a, Vec b) {
  Vec r;
  for (int i = 0; i < 8; i++) r.v[i] = x.v[i] > 0 ? a.v[i] : b.v[i];
  return r;
}

#endif

// e^x within 2 units in the last place; 0 below -87.3, where float32 runs out of normal numbers,
// e^88 above 88. Range reduction by ln 2 in two parts, then the Taylor polynomial of degree 6 on
// [-ln 2 / 2, ln 2 / 2], whose remainder is below 1.3e-7 relative.
static inline Vec exp(Vec x) {
  const Vec low = Vec::set1(-87.3f);
  // max and min return their second operand for NaN, so in this order NaN stays NaN.
  const Vec clamped = min(Vec::set1(88.0f), max(low, x));
  const Vec n = round(clamped * Vec::set1(1.44269504f));
  Vec r = fma(n, Vec::set1(-0.693359375f), clamped);
  r = fma(n, Vec::set1(2.12194440e-4f), r);
  Vec p = Vec::set1(1.0f / 720.0f);
  p = fma(p, r, Vec::set1(1.0f / 120.0f));
  p = fma(p, r, Vec::set1(1.0f / 24.0f));
  p = fma(p, r, Vec::set1(1.0f / 6.0f));
  p = fma(p, r, Vec::set1(0.5f));
  p = fma(p, r, Vec::set1(1.0f));
  p = fma(p, r, Vec::set1(1.0f));
  const Vec e = scale2(p, n);
#if defined(__AVX512F__)
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, low.v, _CMP_NLT_UQ), e.v)};
#elif defined(__AVX2__)
  return {_mm256_andnot_ps(_mm256_cmp_ps(x.v, low.v, _CMP_LT_OQ), e.v)};
#else
  Vec y;
  for (int i = 0; i < 8; i++) y.v[i] = x.v[i] < low.v[i] ? 0.0f : e.v[i];
  return y;
#endif
}

// tanh x = 1 - 2 / (e^2x + 1); accurate to 1e-7 absolute.
static inline Vec tanh(Vec x) {
  const Vec one = Vec::set1(1.0f);
  const Vec e = exp(min(Vec::set1(40.0f), x + x));  // NaN stays NaN
  return one - Vec::set1(2.0f) / (e + one);
}

// erfc x for x >= 0, within 1e-6 relative as long as it is a normal number (x < 9.3), else 0. With
// t = 1 / (1 + 0.45 x), erfc(x) exp(x^2) = t Q(t); Q fitted over x in [0, 9.5], 3e-7 relative.
static inline Vec erfc(Vec x) {
  const Vec t = Vec::set1(1.0f) / fma(x, Vec::set1(0.45f), Vec::set1(1.0f));
  Vec q = Vec::set1(0.066300515f);
  q = fma(q, t, Vec::set1(-0.237806919f));
  q = fma(q, t, Vec::set1(0.204406935f));
  q = fma(q, t, Vec::set1(0.0445514236f));
  q = fma(q, t, Vec::set1(0.186301403f));
  q = fma(q, t, Vec::set1(0.228815442f));
  q = fma(q, t, Vec::set1(0.253514402f));
  q = fma(q, t, Vec::set1(0.253917092f));
  return q * t * exp(Vec::zero() - x * x);
}

// Loads at most left elements from p on; the other lanes are zero.
template <class T>
static inline Vec load_some(const T* p, int64_t left) {
  return left >= Vec::kWidth ? Vec::load(p)
         : left > 0          ? Vec::load(p, static_cast<int>(left))
                             : Vec::zero();
}

}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_CPU_VEC_H_
