// How the operands of attention's products lie in 32-bit words, and their product: one float32 a
// word or, where the instruction set multiplies them so, two bfloat16 that are neighbours along the
// dimension that is summed over.
#ifndef PRECIS_OPS_ATTENTION_WORDS_H_
#define PRECIS_OPS_ATTENTION_WORDS_H_

#include "cpu/dropout_bits.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr int W = Vec::kWidth;

inline int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// The part of total that thread i of n starts with.
inline int64_t share(int64_t total, int64_t i, int64_t n) {
  return total / n * i + total % n * i / n;
}

struct Singles {
  static constexpr int kPerWord = 1;

  static Vec multiply_add(Vec a, Vec b, Vec c) { return fma(a, b, c); }

  // W words from the first of n elements; zero beyond them.
  template <class X>
  static Vec load(const X* x, int64_t n) {
    return n >= W ? Vec::load(x) : n > 0 ? Vec::load(x, static_cast<int>(n)) : Vec::zero();
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
  static Vec load_rows(const uint16_t* x0, const uint16_t* x1, int64_t n) {
    const __mmask16 mask = static_cast<__mmask16>(n >= W ? 0xffff : n > 0 ? (1u << n) - 1 : 0);
    const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, x0));
    const __m512i high =
        _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(x1 != nullptr ? mask : 0, x1));
    return {_mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)))};
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
  static void keep(float* p, int64_t n, uint64_t bits) {
    for (int64_t j = 0; j < n; j += 2 * W) {
      const __m512i e = _mm512_loadu_si512(p + j / 2);
      _mm512_storeu_si512(p + j / 2, _mm512_maskz_mov_epi16(static_cast<__mmask32>(bits >> j), e));
    }
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
