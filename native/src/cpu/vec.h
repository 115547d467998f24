// A vector of float32, as wide as the instruction set being compiled for. Kernels are written once
// with it; where an instruction set has an instruction for an operation (bfloat16 pairs, int8
// quads), this header names the operation and each instruction set implements it.
#ifndef PRECIS_CPU_VEC_H_
#define PRECIS_CPU_VEC_H_

#include <cstdint>

// Every processor of ARMv8 has NEON, also where the portable instruction set is compiled.
#if defined(__ARM_NEON) && defined(__aarch64__) && !defined(PRECIS_ISA_portable)
#define PRECIS_NEON
#endif

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(PRECIS_NEON)
#include <arm_neon.h>
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

#elif defined(PRECIS_NEON)

// Two registers of the 32: as many vectors as AVX2 has, and sums in its order.
struct Vec {
  static constexpr int kWidth = 8;
  float32x4_t low, high;

  static inline Vec zero() { return set1(0.0f); }
  static inline Vec set1(float x) { return {vdupq_n_f32(x), vdupq_n_f32(x)}; }
  static inline Vec load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4)}; }
  static inline Vec load(const uint16_t* p) { return widen(vld1q_u16(p)); }
  static inline Vec load(const float* p, int n) {
    if (n < 4) return {load_first(p, n), vdupq_n_f32(0.0f)};
    return {vld1q_f32(p), load_first(p + 4, n - 4)};
  }
  static inline Vec load(const uint16_t* p, int n) { return widen(load_first(p, n)); }
  inline void store(float* p) const {
    vst1q_f32(p, low);
    vst1q_f32(p + 4, high);
  }
  inline void store(uint16_t* p) const { vst1q_u16(p, to_bf16()); }
  inline void store(float* p, int n) const {
    if (n < 4) return store_first(low, p, n);
    vst1q_f32(p, low);
    store_first(high, p + 4, n - 4);
  }
  inline void store(uint16_t* p, int n) const {
    uint16_t t[8];
    store(t);
    for (int i = 0; i < n; i++) p[i] = t[i];
  }
  inline float sum() const {
    const float32x4_t s = vaddq_f32(low, high);
    return vpadds_f32(vadd_f32(vget_low_f32(s), vget_high_f32(s)));
  }
  inline float largest() const {
    const float32x4_t s = larger(low, high);
    const float32x4_t t = larger(s, vextq_f32(s, s, 2));
    return vgetq_lane_f32(larger(t, vdupq_laneq_f32(t, 1)), 0);
  }

  // Four lanes of a where it is larger, else b, also where one is NaN: FMAX would return NaN.
  static inline float32x4_t larger(float32x4_t a, float32x4_t b) {
    return vbslq_f32(vcgtq_f32(a, b), a, b);
  }
  static inline Vec widen(uint16x8_t h) {
    return {vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(h), 16)),
            vreinterpretq_f32_u32(vshll_high_n_u16(h, 16))};
  }
  static inline float32x4_t load_first(const float* p, int n) {
    const float32x2_t none = vdup_n_f32(0.0f);
    switch (n) {
      case 1:
        return vcombine_f32(vld1_lane_f32(p, none, 0), none);
      case 2:
        return vcombine_f32(vld1_f32(p), none);
      case 3:
        return vcombine_f32(vld1_f32(p), vld1_lane_f32(p + 2, none, 0));
      case 4:
        return vld1q_f32(p);
      default:
        return vcombine_f32(none, none);
    }
  }
  static inline uint16x8_t load_first(const uint16_t* p, int n) {
    if (n >= 8) return vld1q_u16(p);
    uint16_t t[8] = {};
    for (int i = 0; i < n; i++) t[i] = p[i];
    return vld1q_u16(t);
  }
  static inline void store_first(float32x4_t x, float* p, int n) {
    switch (n) {
      case 1:
        return vst1q_lane_f32(p, x, 0);
      case 2:
        return vst1_f32(p, vget_low_f32(x));
      case 3:
        vst1_f32(p, vget_low_f32(x));
        return vst1q_lane_f32(p + 2, x, 2);
      case 4:
        return vst1q_f32(p, x);
    }
  }
#if defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
  // To nearest even, NaN stays NaN, denormals too: the same bits as float_to_bf16.
  inline uint16x8_t to_bf16() const {
    const bfloat16x8_t lower = vcvtq_low_bf16_f32(low);
    return vreinterpretq_u16_bf16(vcvtq_high_bf16_f32(lower, high));
  }
#else
  inline uint16x8_t to_bf16() const {
    const auto round = [](float32x4_t x) {
      const uint32x4_t bits = vreinterpretq_u32_f32(x);
      const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
      const uint32x4_t near = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
      return vbslq_u32(vceqq_f32(x, x), near, vorrq_u32(bits, vdupq_n_u32(0x400000)));
    };
    return vshrn_high_n_u32(vshrn_n_u32(round(low), 16), round(high), 16);
  }
#endif
};
#define PRECIS_VEC_BINARY(name, f) \
  static inline Vec name(Vec a, Vec b) { return {f(a.low, b.low), f(a.high, b.high)}; }
PRECIS_VEC_BINARY(operator+, vaddq_f32)
PRECIS_VEC_BINARY(operator-, vsubq_f32)
PRECIS_VEC_BINARY(operator*, vmulq_f32)
PRECIS_VEC_BINARY(operator/, vdivq_f32)
PRECIS_VEC_BINARY(max, Vec::larger)
#undef PRECIS_VEC_BINARY
static inline Vec min(Vec a, Vec b) {
  return {vbslq_f32(vcltq_f32(a.low, b.low), a.low, b.low),
          vbslq_f32(vcltq_f32(a.high, b.high), a.high, b.high)};
}
static inline Vec fma(Vec a, Vec b, Vec c) {
  return {vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)};
}
static inline bool any_nan(Vec a, Vec b) {
  const uint32x4_t numbers =
      vandq_u32(vandq_u32(vceqq_f32(a.low, a.low), vceqq_f32(b.low, b.low)),
                vandq_u32(vceqq_f32(a.high, a.high), vceqq_f32(b.high, b.high)));
  return vminvq_u32(numbers) == 0;
}
static inline Vec scale2(Vec x, Vec n) {
  const auto power = [](float32x4_t e) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(e), vdupq_n_s32(127)), 23));
  };
  return {vmulq_f32(x.low, power(n.low)), vmulq_f32(x.high, power(n.high))};
}
static inline Vec round(Vec x) { return {vrndnq_f32(x.low), vrndnq_f32(x.high)}; }
static inline Vec sqrt(Vec x) { return {vsqrtq_f32(x.low), vsqrtq_f32(x.high)}; }
static inline Vec if_positive(Vec x, Vec a, Vec b) {
  return {vbslq_f32(vcgtzq_f32(x.low), a.low, b.low),
          vbslq_f32(vcgtzq_f32(x.high), a.high, b.high)};
}
// Returns zero where x < limit, and y elsewhere, also where x is NaN.
static inline Vec zero_below(Vec x, float limit, Vec y) {
  const auto clear = [limit](float32x4_t a, float32x4_t b) {
    const uint32x4_t below = vcltq_f32(a, vdupq_n_f32(limit));
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(b), below));
  };
  return {clear(x.low, y.low), clear(x.high, y.high)};
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
#elif defined(PRECIS_NEON)
  return zero_below(x, -87.3f, e);
#else
  Vec y;
  for (int i = 0; i < 8; i++) y.v[i] = x.v[i] < low.v[i] ? 0.0f : e.v[i];
  return y;
#endif
}

// Splits positive normal numbers: x = m 2^n with m in [1, 2).
static inline void split(Vec x, Vec* m, Vec* n) {
#if defined(__AVX512F__)
  *m = {_mm512_getmant_ps(x.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src)};
  *n = {_mm512_getexp_ps(x.v)};
#elif defined(__AVX2__)
  const __m256i bits = _mm256_castps_si256(x.v);
  const __m256i fraction = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffff));
  *m = {_mm256_castsi256_ps(_mm256_or_si256(fraction, _mm256_set1_epi32(0x3f800000)))};
  *n = {_mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(127)))};
#else
  float values[Vec::kWidth], exponents[Vec::kWidth];
  x.store(values);
  for (int i = 0; i < Vec::kWidth; i++) {
    uint32_t bits;
    __builtin_memcpy(&bits, &values[i], sizeof bits);
    exponents[i] = static_cast<float>(static_cast<int32_t>(bits >> 23) - 127);
    bits = (bits & 0x7fffff) | 0x3f800000;
    __builtin_memcpy(&values[i], &bits, sizeof bits);
  }
  *m = Vec::load(values);
  *n = Vec::load(exponents);
#endif
}

// ln x of positive normal numbers, within 2e-7 relative, and 7e-7 where fma rounds twice; NaN for NaN and
// infinity. With x = m 2^n and m in [sqrt(1/2), sqrt(2)),  ln m = 2 atanh s,  s = (m - 1) / (m + 1),
// whose series in s^2 <= 0.0295 ends after s^8 / 9 with a remainder below 3e-9 relative.
static inline Vec log(Vec x) {
  const Vec one = Vec::set1(1.0f), half = Vec::set1(0.5f);
  Vec m, n;
  split(x, &m, &n);
  const Vec above = m - Vec::set1(1.41421356f);
  n = if_positive(above, n + one, n);
  m = if_positive(above, m * half, m);
  const Vec s = (m - one) / (m + one), square = s * s;
  Vec p = Vec::set1(1.0f / 9.0f);
  p = fma(p, square, Vec::set1(1.0f / 7.0f));
  p = fma(p, square, Vec::set1(1.0f / 5.0f));
  p = fma(p, square, Vec::set1(1.0f / 3.0f));
  p = fma(p, square, one);
  const Vec nan = x - x;  // 0 for a number
  return fma(n, Vec::set1(0.693147182f), fma(s + s, p, nan));
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
