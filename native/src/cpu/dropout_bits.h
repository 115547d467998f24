// The mask of dropout_mask.h, for 64 adjacent elements at a time.
#ifndef PRECIS_CPU_DROPOUT_BITS_H_
#define PRECIS_CPU_DROPOUT_BITS_H_

#include "cpu/vec.h"
#include "random/dropout_mask.h"

namespace precis {
namespace PRECIS_ISA {

// Bit i: element index + i is kept. index is a multiple of kDropoutGroup.
#if defined(__AVX512F__) || defined(__AVX2__)
static inline uint64_t dropout_bits(uint64_t seed, uint64_t offset, uint64_t index,
                                    uint32_t threshold) {
#if defined(__AVX512F__)
  using Words = __m512i;
  constexpr int kVecs = 2;  // of 64-bit lanes make 16 counters
  const auto set = [](uint64_t x) { return _mm512_set1_epi64(static_cast<int64_t>(x)); };
  const auto multiply = [](Words a, Words b) { return _mm512_mul_epu32(a, b); };
  const auto high_xor = [](Words product, Words a, Words b) {
    return _mm512_ternarylogic_epi64(_mm512_srli_epi64(product, 32), a, b, 0x96);
  };
  const Words even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
  const Words first[kVecs] = {even, _mm512_add_epi64(even, _mm512_set1_epi64(1))};
  const auto plus = [](Words a, Words b) { return _mm512_add_epi64(a, b); };
#else
  using Words = __m256i;
  constexpr int kVecs = 4;
  const auto set = [](uint64_t x) { return _mm256_set1_epi64x(static_cast<int64_t>(x)); };
  const auto multiply = [](Words a, Words b) { return _mm256_mul_epu32(a, b); };
  const auto high_xor = [](Words product, Words a, Words b) {
    return _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(product, 32), a), b);
  };
  const Words first[kVecs] = {_mm256_setr_epi64x(0, 2, 4, 6), _mm256_setr_epi64x(1, 3, 5, 7),
                              _mm256_setr_epi64x(8, 10, 12, 14), _mm256_setr_epi64x(9, 11, 13, 15)};
  const auto plus = [](Words a, Words b) { return _mm256_add_epi64(a, b); };
#endif
  // Each 64-bit lane is a counter's; only the lower half of it counts, so that a product's lower
  // half is taken by leaving the rest where it is.
  const Philox counter = dropout_counter(offset, index);
  Words c0[kVecs], c1[kVecs], c2[kVecs], c3[kVecs];
#pragma GCC unroll 4
  for (int v = 0; v < kVecs; v++) {
    c0[v] = plus(set(counter.word[0]), first[v]);
    c1[v] = set(counter.word[1]);
    c2[v] = set(counter.word[2]);
    c3[v] = set(counter.word[3]);
  }
  const Words m0 = set(kPhiloxMultiplier0), m1 = set(kPhiloxMultiplier1);
  uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++) {
    const Words k0 = set(key0), k1 = set(key1);
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; v++) {
      const Words p0 = multiply(m0, c0[v]), p1 = multiply(m1, c2[v]);
      c0[v] = high_xor(p1, c1[v], k0);
      c1[v] = p1;
      c2[v] = high_xor(p0, c3[v], k1);
      c3[v] = p0;
    }
    key0 += kPhiloxStep0;
    key1 += kPhiloxStep1;
  }
  uint64_t bits = 0;
#pragma GCC unroll 4
  for (int w = 0; w < 4; w++) {
    const Words* c = w == 0 ? c0 : w == 1 ? c1 : w == 2 ? c2 : c3;
#if defined(__AVX512F__)
    const Words words =
        _mm512_mask_shuffle_epi32(c[0], 0xaaaa, c[1], static_cast<_MM_PERM_ENUM>(0xa0));
    const uint64_t kept = _mm512_cmpge_epu32_mask(words, _mm512_set1_epi32(threshold));
    bits |= kept << (16 * w);
#else
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
      const Words words =
          _mm256_blend_epi32(c[2 * half], _mm256_slli_epi64(c[2 * half + 1], 32), 0xaa);
      const Words least = _mm256_set1_epi32(static_cast<int>(threshold));
      const Words kept = _mm256_cmpeq_epi32(_mm256_max_epu32(words, least), words);
      const int mask = _mm256_movemask_ps(_mm256_castsi256_ps(kept));
      bits |= static_cast<uint64_t>(mask) << (16 * w + 8 * half);
    }
#endif
  }
  return bits;
}
#elif defined(PRECIS_NEON)
static inline uint64_t dropout_bits(uint64_t seed, uint64_t offset, uint64_t index,
                                    uint32_t threshold) {
  constexpr int kVecs = 4;  // of 32-bit lanes make 16 counters
  const Philox counter = dropout_counter(offset, index);
  constexpr uint32_t kLanes[4] = {0, 1, 2, 3};
  uint32x4_t c[4][kVecs];
#pragma GCC unroll 4
  for (int v = 0; v < kVecs; v++) {
    c[0][v] = vaddq_u32(vdupq_n_u32(counter.word[0] + 4 * v), vld1q_u32(kLanes));
    for (int w = 1; w < 4; w++) c[w][v] = vdupq_n_u32(counter.word[w]);
  }
  struct Product {
    uint32x4_t low, high;
  };
  const auto multiply = [](uint32x4_t a, uint32_t m) -> Product {
    const uint32x4_t p = vreinterpretq_u32_u64(vmull_n_u32(vget_low_u32(a), m));
    const uint32x4_t q = vreinterpretq_u32_u64(vmull_high_n_u32(a, m));
    return {vuzp1q_u32(p, q), vuzp2q_u32(p, q)};
  };
  uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++) {
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; v++) {
      const Product p0 = multiply(c[0][v], kPhiloxMultiplier0);
      const Product p1 = multiply(c[2][v], kPhiloxMultiplier1);
      c[0][v] = veorq_u32(veorq_u32(p1.high, c[1][v]), vdupq_n_u32(key0));
      c[1][v] = p1.low;
      c[2][v] = veorq_u32(veorq_u32(p0.high, c[3][v]), vdupq_n_u32(key1));
      c[3][v] = p0.low;
    }
    key0 += kPhiloxStep0;
    key1 += kPhiloxStep1;
  }
  const uint32x4_t least = vdupq_n_u32(threshold);
  const uint8x16_t place = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
  uint64_t bits = 0;
#pragma GCC unroll 4
  for (int w = 0; w < 4; w++) {
    const auto kept = [&](int v) {
      return vmovn_high_u32(vmovn_u32(vcgeq_u32(c[w][v], least)), vcgeq_u32(c[w][v + 1], least));
    };
    const uint8x16_t bytes = vandq_u8(vmovn_high_u16(vmovn_u16(kept(0)), kept(2)), place);
    const uint64_t lower = vaddv_u8(vget_low_u8(bytes)), upper = vaddv_u8(vget_high_u8(bytes));
    bits |= (lower | upper << 8) << (16 * w);
  }
  return bits;
}
#else
static inline uint64_t dropout_bits(uint64_t seed, uint64_t offset, uint64_t index,
                                    uint32_t threshold) {
  uint32_t words[kDropoutGroup];
  for (int lane = 0; lane < 16; lane++) {
    const Philox random =
        philox4x32_10(dropout_counter(offset, index + lane), static_cast<uint32_t>(seed),
                      static_cast<uint32_t>(seed >> 32));
    for (int w = 0; w < 4; w++) words[16 * w + lane] = random.word[w];
  }
  uint64_t bits = 0;
  for (int i = 0; i < kDropoutGroup; i++) {
    bits |= static_cast<uint64_t>(words[i] >= threshold) << i;
  }
  return bits;
}
#endif

// The lanes of x whose bit is set, zero in the others.
static inline Vec keep_lanes(Vec x, uint64_t bits) {
#if defined(__AVX512F__)
  return {_mm512_maskz_mov_ps(static_cast<__mmask16>(bits), x.v)};
#elif defined(__AVX2__)
  const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i set = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits)), lane);
  return {_mm256_and_ps(x.v, _mm256_castsi256_ps(_mm256_cmpeq_epi32(set, lane)))};
#elif defined(PRECIS_NEON)
  constexpr uint32_t kBits[8] = {1, 2, 4, 8, 16, 32, 64, 128};
  const uint32x4_t all = vdupq_n_u32(static_cast<uint32_t>(bits));
  const auto keep = [all](float32x4_t a, uint32x4_t lanes) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vtstq_u32(all, lanes)));
  };
  return {keep(x.low, vld1q_u32(kBits)), keep(x.high, vld1q_u32(kBits + 4))};
#else
  for (int i = 0; i < Vec::kWidth; i++) x.v[i] = (bits >> i & 1) != 0 ? x.v[i] : 0.0f;
  return x;
#endif
}

}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_CPU_DROPOUT_BITS_H_
