// The layout of the operands of attention's products in 32-bit words, and their product: one
// float32 per word or, where the instruction set multiplies pairs, two bfloat16 that are adjacent
// along the dimension that is summed over.
#ifndef PRECIS_OPS_ATTENTION_WORDS_H_
#define PRECIS_OPS_ATTENTION_WORDS_H_

#include "cpu/dropout_bits.h"
#include "cpu/ranges.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr int W = Vec::kWidth;

struct Singles {
  static constexpr int kPerWord = 1;

  static Vec multiply_add(Vec a, Vec b, Vec c) { return fma(a, b, c); }

  // W words from the first of n elements; zero beyond them.
  template <class X>
  static Vec load(const X* x, int64_t n) {
    return load_some(x, n);
  }
  // W words each of which pairs an element of x0 with that of x1 (nullptr: zero), had it room.
  template <class X>
  static Vec load_rows(const X* x0, const X*, int64_t n) {
    return load(x0, n);
  }
  // p = e^(p - largest), in place and as words. Returns the sum of the words and, in *exact if it
  // is not NULL, that of the powers before they became words. n is a multiple of W.
  static float exponentiate(float* p, int64_t n, float largest, float* exact = nullptr) {
    const Vec shift = Vec::set1(largest);
    Vec sum = Vec::zero();
    for (int64_t j = 0; j < n; j += W) {
      const Vec e = exp(Vec::load(p + j) - shift);
      e.store(p + j);
      sum = sum + e;
    }
    if (exact != nullptr) *exact = sum.sum();
    return sum.sum();
  }
  // x as it would be in a word.
  static Vec rounded(Vec x) { return x; }
  // e^(x / kPerUnit): what is given to it is in units that make it cheapest.
  static constexpr float kPerUnit = 1;
  static Vec power(Vec x) { return exp(x); }
  // Of n elements, a multiple of W up to kDropoutGroup, those whose bit is not set become zero.
  static void keep(float* p, int64_t n, uint64_t bits) {
    for (int64_t j = 0; j < n; j += W) keep_lanes(Vec::load(p + j), bits >> j).store(p + j);
  }
};

#if defined(__AVX512BF16__)
struct Pairs {
  static constexpr int kPerWord = 2;

  static Vec multiply_add(Vec a, Vec b, Vec c) {
    return {_mm512_dpbf16_ps(c.v, (__m512bh)a.v, (__m512bh)b.v)};
  }
  static Vec load(const uint16_t* x, int64_t n) {
    const __mmask32 mask = n >= 2 * W ? ~0u : n > 0 ? (1u << n) - 1 : 0;
    return {_mm512_castsi512_ps(_mm512_maskz_loadu_epi16(mask, x))};
  }
  static Vec load(const float* x, int64_t n) {
    return join(Singles::load(x, n), Singles::load(x + W, n - W));
  }
  static Vec load_rows(const uint16_t* x0, const uint16_t* x1, int64_t n) {
    const __mmask16 mask = static_cast<__mmask16>(n >= W ? 0xffff : n > 0 ? (1u << n) - 1 : 0);
    const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, x0));
    const __m512i high =
        _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(x1 != nullptr ? mask : 0, x1));
    return {_mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)))};
  }
  static Vec load_rows(const float* x0, const float* x1, int64_t n) {
    return interleave(join(Singles::load(x0, n), Vec::zero()),
                      join(x1 != nullptr ? Singles::load(x1, n) : Vec::zero(), Vec::zero()), 0);
  }
  // 2 W neighbours as words.
  static Vec join(Vec low, Vec high) {
    return {_mm512_castsi512_ps((__m512i)_mm512_cvtne2ps_pbh(high.v, low.v))};
  }
  // W words each of which pairs an element of x0 with that of x1, both of 2 W; half 0 or 1 of them.
  static Vec interleave(Vec x0, Vec x1, int half) {
    const __m512i low = _mm512_setr_epi32(
        0x200000, 0x210001, 0x220002, 0x230003, 0x240004, 0x250005, 0x260006, 0x270007, 0x280008,
        0x290009, 0x2a000a, 0x2b000b, 0x2c000c, 0x2d000d, 0x2e000e, 0x2f000f);
    const __m512i from = half == 0 ? low : _mm512_add_epi16(low, _mm512_set1_epi16(16));
    return {_mm512_castsi512_ps(
        _mm512_permutex2var_epi16(_mm512_castps_si512(x0.v), from, _mm512_castps_si512(x1.v)))};
  }
  // The sum is of what was rounded, so that the weights still add up to one.
  static float exponentiate(float* p, int64_t n, float largest, float* exact = nullptr) {
    const Vec shift = Vec::set1(largest);
    const __m512bh ones = (__m512bh)_mm512_set1_epi16(0x3f80);
    __m512 sum = _mm512_setzero_ps();
    Vec powers = Vec::zero();
    for (int64_t j = 0; j < n; j += 2 * W) {
      const Vec low = exp(Vec::load(p + j) - shift);
      const Vec high = j + W < n ? exp(Vec::load(p + j + W) - shift) : Vec::zero();
      const __m512bh e = _mm512_cvtne2ps_pbh(high.v, low.v);
      // Words overtake no score that is still to be read.
      _mm512_storeu_si512(p + j / 2, (__m512i)e);
      sum = _mm512_dpbf16_ps(sum, e, ones);
      if (exact != nullptr) powers = powers + (low + high);
    }
    if (exact != nullptr) *exact = powers.sum();
    return _mm512_reduce_add_ps(sum);
  }
  static Vec rounded(Vec x) {
    const __m256i words = (__m256i)_mm512_cvtneps_pbh(x.v);
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(words), 16))};
  }
  // 2^x within 3e-6 relative, far below what is lost when it becomes a word.
  static constexpr float kPerUnit = 1.44269504f;
  static Vec power(Vec x) {
    const Vec clamped = max(Vec::set1(-200.0f), x);
    const Vec n = round(clamped);
    const Vec r = clamped - n;
    Vec p = Vec::set1(0.00957010221f);
    p = fma(p, r, Vec::set1(0.0559178628f));
    p = fma(p, r, Vec::set1(0.240247443f));
    p = fma(p, r, Vec::set1(0.693121791f));
    p = fma(p, r, Vec::set1(0.999999285f));
    return scale2(p, n);
  }
  static void keep(float* p, int64_t n, uint64_t bits) {
    for (int64_t j = 0; j < n; j += 2 * W) {
      const __m512i e = _mm512_loadu_si512(p + j / 2);
      _mm512_storeu_si512(p + j / 2, _mm512_maskz_mov_epi16(static_cast<__mmask32>(bits >> j), e));
    }
  }
};
using Bf16Words = Pairs;
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC) && defined(PRECIS_NEON)
struct Pairs {
  static constexpr int kPerWord = 2;

  static Vec multiply_add(Vec a, Vec b, Vec c) {
    return {vbfdotq_f32(c.low, words(a.low), words(b.low)),
            vbfdotq_f32(c.high, words(a.high), words(b.high))};
  }
  static Vec load(const uint16_t* x, int64_t n) {
    return {singles(halves(x, n)), singles(halves(x + W, n - W))};
  }
  static Vec load(const float* x, int64_t n) {
    return join(Singles::load(x, n), Singles::load(x + W, n - W));
  }
  static Vec load_rows(const uint16_t* x0, const uint16_t* x1, int64_t n) {
    return zip(halves(x0, n), x1 != nullptr ? halves(x1, n) : vdupq_n_u16(0));
  }
  static Vec load_rows(const float* x0, const float* x1, int64_t n) {
    const Vec second = x1 != nullptr ? Singles::load(x1, n) : Vec::zero();
    return zip(Singles::load(x0, n).to_bf16(), second.to_bf16());
  }
  // 2 W neighbours as words.
  static Vec join(Vec low, Vec high) { return {singles(low.to_bf16()), singles(high.to_bf16())}; }
  // W words each of which pairs an element of x0 with that of x1, both of 2 W; half 0 or 1 of them.
  static Vec interleave(Vec x0, Vec x1, int half) {
    return zip(vreinterpretq_u16_f32(half == 0 ? x0.low : x0.high),
               vreinterpretq_u16_f32(half == 0 ? x1.low : x1.high));
  }
  // The sum is of what was rounded, so that the weights still add up to one.
  static float exponentiate(float* p, int64_t n, float largest, float* exact = nullptr) {
    const Vec shift = Vec::set1(largest), ones = join(Vec::set1(1.0f), Vec::set1(1.0f));
    Vec sum = Vec::zero(), powers = Vec::zero();
    for (int64_t j = 0; j < n; j += 2 * W) {
      const Vec low = exp(Vec::load(p + j) - shift);
      const Vec high = j + W < n ? exp(Vec::load(p + j + W) - shift) : Vec::zero();
      const Vec e = join(low, high);
      // Words overtake no score that is still to be read.
      e.store(p + j / 2);
      sum = multiply_add(e, ones, sum);
      if (exact != nullptr) powers = powers + (low + high);
    }
    if (exact != nullptr) *exact = powers.sum();
    return sum.sum();
  }
  static Vec rounded(Vec x) { return Vec::widen(x.to_bf16()); }
  // 2^x within 3e-6 relative, far below what is lost when it becomes a word; 0 below 2^-126.
  static constexpr float kPerUnit = 1.44269504f;
  static Vec power(Vec x) {
    const Vec clamped = max(Vec::set1(-126.0f), x);
    const Vec n = round(clamped);
    const Vec r = clamped - n;
    Vec p = Vec::set1(0.00957010221f);
    p = fma(p, r, Vec::set1(0.0559178628f));
    p = fma(p, r, Vec::set1(0.240247443f));
    p = fma(p, r, Vec::set1(0.693121791f));
    p = fma(p, r, Vec::set1(0.999999285f));
    return zero_below(x, -126.0f, scale2(p, n));
  }
  static void keep(float* p, int64_t n, uint64_t bits) {
    constexpr uint16_t kBits[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    for (int64_t j = 0; j < n; j += W, p += W / 2) {
      const uint16x8_t kept =
          vtstq_u16(vdupq_n_u16(static_cast<uint16_t>(bits >> j)), vld1q_u16(kBits));
      vst1q_f32(p, singles(vandq_u16(vreinterpretq_u16_f32(vld1q_f32(p)), kept)));
    }
  }

 private:
  static bfloat16x8_t words(float32x4_t x) { return vreinterpretq_bf16_f32(x); }
  static float32x4_t singles(uint16x8_t x) { return vreinterpretq_f32_u16(x); }
  static uint16x8_t halves(const uint16_t* x, int64_t n) {
    return Vec::load_first(x, static_cast<int>(n < 0 ? 0 : n < W ? n : W));
  }
  static Vec zip(uint16x8_t a, uint16x8_t b) {
    return {singles(vzip1q_u16(a, b)), singles(vzip2q_u16(a, b))};
  }
};
using Bf16Words = Pairs;
#else
using Bf16Words = Singles;
#endif

// The words for elements of type X.
template <class X>
struct WordsOf {
  using Type = Singles;
};
template <>
struct WordsOf<uint16_t> {
  using Type = Bf16Words;
};

}  // namespace
}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_OPS_ATTENTION_WORDS_H_
