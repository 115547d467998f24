// Sums of products for matmul, over units of four bytes of packed weights (ops/matmul.h): one
// struct for each dtype of weights, each instruction set its own way.
//
//   Acc                 one vector of sums, of kWidth outputs
//   kInputs, kXBytes    neighbors in k of a unit, and bytes that x takes for it
//   kParts              a unit's product may be made of two products, one after the other
//   weights<P>(w)       part P of the kWidth units at w
//   input<P>(x)         part P of one unit of x, in all lanes
//   dot(a, x, w)        a + x w
//
// and for int8: put(x, inverse, row, k) quantizes the kWidth inputs from k on, finish(a, sums)
// makes sums of the accumulators, given the sums of the weights. For int4 dot adds up the products
// of a group of units, and finish(a, offset) makes a sum of an accumulator and adds the offset.
#ifndef PRECIS_CPU_DOT_H_
#define PRECIS_CPU_DOT_H_

#include "cpu/vec.h"

namespace precis {
namespace PRECIS_ISA {

template <class T>
static inline T load_as(const void* p) {
  T t;
  __builtin_memcpy(&t, p, sizeof t);
  return t;
}

#if defined(__AVX512F__)

struct IntVec {
  __m512i v;
  static inline IntVec zero() { return {_mm512_setzero_si512()}; }
  static inline IntVec load(const void* p) { return {_mm512_loadu_si512(p)}; }
  static inline IntVec set1(uint32_t x) { return {_mm512_set1_epi32(static_cast<int>(x))}; }
  inline void store(void* p) const { _mm512_storeu_si512(p, v); }
};
static inline Vec as_float(IntVec a) { return {_mm512_castsi512_ps(a.v)}; }
static inline Vec to_float(IntVec a) { return {_mm512_cvtepi32_ps(a.v)}; }
// a - 128 b.
static inline IntVec subtract_128(IntVec a, IntVec b) {
  return {_mm512_sub_epi32(a.v, _mm512_slli_epi32(b.v, 7))};
}
static inline IntVec low_halves_up(IntVec a) { return {_mm512_slli_epi32(a.v, 16)}; }
static inline IntVec high_halves(IntVec a) {
  return {_mm512_and_si512(a.v, _mm512_set1_epi32(static_cast<int>(0xffff0000u)))};
}
// Widens the even and the odd bytes to 16 bits.
static inline IntVec even_bytes(IntVec a) {
  return {_mm512_srai_epi16(_mm512_slli_epi16(a.v, 8), 8)};
}
static inline IntVec odd_bytes(IntVec a) { return {_mm512_srai_epi16(a.v, 8)}; }
static inline IntVec dot16(IntVec acc, IntVec x, IntVec w) {
  return {_mm512_add_epi32(acc.v, _mm512_madd_epi16(x.v, w.v))};
}
// The lower and the upper half of each byte.
static inline IntVec low_nibbles(IntVec a) { return {_mm512_and_si512(a.v, _mm512_set1_epi8(15))}; }
static inline IntVec high_nibbles(IntVec a) {
  return {_mm512_and_si512(_mm512_srli_epi16(a.v, 4), _mm512_set1_epi8(15))};
}
static inline IntVec add(IntVec a, IntVec b) { return {_mm512_add_epi32(a.v, b.v)}; }
// Adds pairs of products of unsigned with signed bytes to sums of 16 bits.
static inline IntVec dot8_to_16(IntVec acc, IntVec x, IntVec w) {
  return {_mm512_add_epi16(acc.v, _mm512_maddubs_epi16(w.v, x.v))};
}
// Adds the two sums of each lane.
static inline IntVec add_halves(IntVec a) { return {_mm512_madd_epi16(a.v, _mm512_set1_epi16(1))}; }
static inline IntVec bits(Vec a) { return {_mm512_castps_si512(a.v)}; }
// Stores the lowest byte of every lane.
static inline void store_bytes(IntVec a, int8_t* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(a.v));
}
// Stores the lower half of every lane, of each four lanes in the order 0 2 1 3.
static inline void store_halves(IntVec a, int16_t* to) {
  const __m512i order = _mm512_set_epi32(15, 13, 14, 12, 11, 9, 10, 8, 7, 5, 6, 4, 3, 1, 2, 0);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_cvtepi32_epi16(_mm512_permutexvar_epi32(order, a.v)));
}

#elif defined(__AVX2__)

struct IntVec {
  __m256i v;
  static inline IntVec zero() { return {_mm256_setzero_si256()}; }
  static inline IntVec load(const void* p) {
    return {_mm256_loadu_si256(static_cast<const __m256i*>(p))};
  }
  static inline IntVec set1(uint32_t x) { return {_mm256_set1_epi32(static_cast<int>(x))}; }
  inline void store(void* p) const { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
};
static inline Vec as_float(IntVec a) { return {_mm256_castsi256_ps(a.v)}; }
static inline Vec to_float(IntVec a) { return {_mm256_cvtepi32_ps(a.v)}; }
static inline IntVec subtract_128(IntVec a, IntVec b) {
  return {_mm256_sub_epi32(a.v, _mm256_slli_epi32(b.v, 7))};
}
static inline IntVec low_halves_up(IntVec a) { return {_mm256_slli_epi32(a.v, 16)}; }
static inline IntVec high_halves(IntVec a) {
  return {_mm256_and_si256(a.v, _mm256_set1_epi32(static_cast<int>(0xffff0000u)))};
}
static inline IntVec even_bytes(IntVec a) {
  return {_mm256_srai_epi16(_mm256_slli_epi16(a.v, 8), 8)};
}
static inline IntVec odd_bytes(IntVec a) { return {_mm256_srai_epi16(a.v, 8)}; }
static inline IntVec dot16(IntVec acc, IntVec x, IntVec w) {
  return {_mm256_add_epi32(acc.v, _mm256_madd_epi16(x.v, w.v))};
}
static inline IntVec low_nibbles(IntVec a) { return {_mm256_and_si256(a.v, _mm256_set1_epi8(15))}; }
static inline IntVec high_nibbles(IntVec a) {
  return {_mm256_and_si256(_mm256_srli_epi16(a.v, 4), _mm256_set1_epi8(15))};
}
static inline IntVec add(IntVec a, IntVec b) { return {_mm256_add_epi32(a.v, b.v)}; }
static inline IntVec dot8_to_16(IntVec acc, IntVec x, IntVec w) {
  return {_mm256_add_epi16(acc.v, _mm256_maddubs_epi16(w.v, x.v))};
}
static inline IntVec add_halves(IntVec a) { return {_mm256_madd_epi16(a.v, _mm256_set1_epi16(1))}; }
static inline IntVec bits(Vec a) { return {_mm256_castps_si256(a.v)}; }
static inline void store_bytes(IntVec a, int8_t* to) {
  const __m256i lowest =
      _mm256_shuffle_epi8(a.v, _mm256_broadcastsi128_si256(_mm_setr_epi8(
                                   0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)));
  _mm_storel_epi64(
      reinterpret_cast<__m128i*>(to),
      _mm_unpacklo_epi32(_mm256_castsi256_si128(lowest), _mm256_extracti128_si256(lowest, 1)));
}
static inline void store_halves(IntVec a, int16_t* to) {
  const __m256i halves =
      _mm256_shuffle_epi8(a.v, _mm256_broadcastsi128_si256(_mm_setr_epi8(
                                   0, 1, 8, 9, 4, 5, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1)));
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(to),
      _mm_unpacklo_epi64(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
}

#elif defined(PRECIS_NEON)

struct IntVec {
  uint32x4_t low, high;
  static inline IntVec zero() { return set1(0); }
  static inline IntVec load(const void* p) {
    const auto* bytes = static_cast<const uint8_t*>(p);
    return {vreinterpretq_u32_u8(vld1q_u8(bytes)), vreinterpretq_u32_u8(vld1q_u8(bytes + 16))};
  }
  static inline IntVec set1(uint32_t x) { return {vdupq_n_u32(x), vdupq_n_u32(x)}; }
  inline void store(void* p) const {
    auto* bytes = static_cast<uint8_t*>(p);
    vst1q_u8(bytes, vreinterpretq_u8_u32(low));
    vst1q_u8(bytes + 16, vreinterpretq_u8_u32(high));
  }
};
static inline Vec as_float(IntVec a) {
  return {vreinterpretq_f32_u32(a.low), vreinterpretq_f32_u32(a.high)};
}
static inline Vec to_float(IntVec a) {
  return {vcvtq_f32_s32(vreinterpretq_s32_u32(a.low)),
          vcvtq_f32_s32(vreinterpretq_s32_u32(a.high))};
}
static inline IntVec subtract_128(IntVec a, IntVec b) {
  return {vsubq_u32(a.low, vshlq_n_u32(b.low, 7)), vsubq_u32(a.high, vshlq_n_u32(b.high, 7))};
}
static inline IntVec low_halves_up(IntVec a) {
  return {vshlq_n_u32(a.low, 16), vshlq_n_u32(a.high, 16)};
}
static inline IntVec high_halves(IntVec a) {
  const uint32x4_t upper = vdupq_n_u32(0xffff0000u);
  return {vandq_u32(a.low, upper), vandq_u32(a.high, upper)};
}
static inline IntVec even_bytes(IntVec a) {
  const auto widen = [](uint32x4_t x) {
    return vreinterpretq_u32_s16(vshrq_n_s16(vshlq_n_s16(vreinterpretq_s16_u32(x), 8), 8));
  };
  return {widen(a.low), widen(a.high)};
}
static inline IntVec odd_bytes(IntVec a) {
  const auto widen = [](uint32x4_t x) {
    return vreinterpretq_u32_s16(vshrq_n_s16(vreinterpretq_s16_u32(x), 8));
  };
  return {widen(a.low), widen(a.high)};
}
static inline IntVec dot16(IntVec acc, IntVec x, IntVec w) {
  const auto dot = [](uint32x4_t sum, uint32x4_t a, uint32x4_t b) {
    const int16x8_t p = vreinterpretq_s16_u32(a), q = vreinterpretq_s16_u32(b);
    const int32x4_t pairs =
        vpaddq_s32(vmull_s16(vget_low_s16(p), vget_low_s16(q)), vmull_high_s16(p, q));
    return vaddq_u32(sum, vreinterpretq_u32_s32(pairs));
  };
  return {dot(acc.low, x.low, w.low), dot(acc.high, x.high, w.high)};
}
static inline IntVec low_nibbles(IntVec a) {
  const uint32x4_t lower = vdupq_n_u32(0x0f0f0f0fu);
  return {vandq_u32(a.low, lower), vandq_u32(a.high, lower)};
}
static inline IntVec high_nibbles(IntVec a) {
  const auto upper = [](uint32x4_t x) {
    return vreinterpretq_u32_u8(vshrq_n_u8(vreinterpretq_u8_u32(x), 4));
  };
  return {upper(a.low), upper(a.high)};
}
static inline IntVec add(IntVec a, IntVec b) {
  return {vaddq_u32(a.low, b.low), vaddq_u32(a.high, b.high)};
}
// Adds four products of bytes, whose pairs fit in 16 bits.
static inline uint32x4_t dot4(uint32x4_t a, uint32x4_t x, uint32x4_t w) {
  const int32x4_t sum = vreinterpretq_s32_u32(a);
  const int8x16_t p = vreinterpretq_s8_u32(x), q = vreinterpretq_s8_u32(w);
#if defined(__ARM_FEATURE_DOTPROD)
  return vreinterpretq_u32_s32(vdotq_s32(sum, q, p));
#else
  const int16x8_t pairs = vpaddq_s16(vmull_s8(vget_low_s8(p), vget_low_s8(q)), vmull_high_s8(p, q));
  return vreinterpretq_u32_s32(vpadalq_s16(sum, pairs));
#endif
}
static inline IntVec bits(Vec a) {
  return {vreinterpretq_u32_f32(a.low), vreinterpretq_u32_f32(a.high)};
}
static inline void store_bytes(IntVec a, int8_t* to) {
  const uint16x8_t halves = vmovn_high_u32(vmovn_u32(a.low), a.high);
  vst1_s8(to, vreinterpret_s8_u8(vmovn_u16(halves)));
}

#else

struct IntVec {
  uint32_t v[8];
  static inline IntVec zero() { return set1(0); }
  static inline IntVec load(const void* p) { return load_as<IntVec>(p); }
  static inline IntVec set1(uint32_t x) {
    IntVec r;
    for (int i = 0; i < 8; i++) r.v[i] = x;
    return r;
  }
  inline void store(void* p) const { __builtin_memcpy(p, v, sizeof v); }
};
static inline Vec as_float(IntVec a) { return load_as<Vec>(a.v); }
static inline Vec to_float(IntVec a) {
  Vec r;
  for (int i = 0; i < 8; i++) r.v[i] = static_cast<float>(static_cast<int32_t>(a.v[i]));
  return r;
}
static inline IntVec subtract_128(IntVec a, IntVec b) {
  for (int i = 0; i < 8; i++) a.v[i] -= b.v[i] << 7;
  return a;
}
#define PRECIS_INT_VEC(name, expression)             \
  static inline IntVec name(IntVec a) {              \
    IntVec r;                                        \
    for (int i = 0; i < 8; i++) r.v[i] = expression; \
    return r;                                        \
  }
PRECIS_INT_VEC(low_halves_up, a.v[i] << 16)
PRECIS_INT_VEC(high_halves, a.v[i] & 0xffff0000u)
PRECIS_INT_VEC(even_bytes, (a.v[i] & 0xff00ffu))
PRECIS_INT_VEC(odd_bytes, ((a.v[i] >> 8) & 0xff00ffu))
PRECIS_INT_VEC(low_nibbles, (a.v[i] & 0x0f0f0f0fu))
PRECIS_INT_VEC(high_nibbles, ((a.v[i] >> 4) & 0x0f0f0f0fu))
#undef PRECIS_INT_VEC
static inline IntVec add(IntVec a, IntVec b) {
  for (int i = 0; i < 8; i++) a.v[i] += b.v[i];
  return a;
}
// Here even_bytes leaves the bytes unsigned, unlike the vector versions, and the cast below
// restores the sign.
static inline IntVec dot16(IntVec acc, IntVec x, IntVec w) {
  for (int i = 0; i < 8; i++) {
    const int32_t low = static_cast<int8_t>(w.v[i]) * static_cast<int16_t>(x.v[i]);
    const int32_t high = static_cast<int8_t>(w.v[i] >> 16) * static_cast<int16_t>(x.v[i] >> 16);
    acc.v[i] += static_cast<uint32_t>(low + high);
  }
  return acc;
}
static inline IntVec bits(Vec a) { return load_as<IntVec>(a.v); }
static inline void store_bytes(IntVec a, int8_t* to) {
  for (int i = 0; i < 8; i++) to[i] = static_cast<int8_t>(a.v[i]);
}
static inline void store_halves(IntVec a, int16_t* to) {
  constexpr int order[8] = {0, 2, 1, 3, 4, 6, 5, 7};
  for (int i = 0; i < 8; i++) to[i] = static_cast<int16_t>(a.v[order[i]]);
}

#endif

// x * inverse to the nearest integer, ties to even, in the low bits of each lane, plus offset: in
// 1.5 * 2^23 + i the last bits of the significand are i. |i| must stay below 2^15.
static inline IntVec quantise(Vec x, Vec inverse, float offset) {
  return bits(x * inverse + Vec::set1(12582912.0f + offset));
}

struct DotFloat32 {
  using Acc = Vec;
  static constexpr int32_t kX = PRECIS_FLOAT32;
  static constexpr int kInputs = 1, kXBytes = 4, kParts = 1;
  template <int P>
  static inline Vec weights(const uint32_t* w) {
    return as_float(IntVec::load(w));
  }
  template <int P>
  static inline Vec input(const char* x) {
    return Vec::set1(load_as<float>(x));
  }
  static inline Vec dot(Vec a, Vec x, Vec w) { return fma(x, w, a); }
};

#if defined(__AVX512BF16__)

struct DotBfloat16 {
  using Acc = Vec;
  static constexpr int32_t kX = PRECIS_BFLOAT16;
  static constexpr int kInputs = 2, kXBytes = 4, kParts = 1;
  template <int P>
  static inline IntVec weights(const uint32_t* w) {
    return IntVec::load(w);
  }
  template <int P>
  static inline IntVec input(const char* x) {
    return IntVec::set1(load_as<uint32_t>(x));
  }
  static inline Vec dot(Vec a, IntVec x, IntVec w) {
    return {_mm512_dpbf16_ps(a.v, (__m512bh)x.v, (__m512bh)w.v)};
  }
};

#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC) && defined(PRECIS_NEON)

// BFDOT adds the two products and the sum in a fixed order, each rounded to odd, whose mean error is
// zero as that of rounding to nearest.
struct DotBfloat16 {
  using Acc = Vec;
  static constexpr int32_t kX = PRECIS_BFLOAT16;
  static constexpr int kInputs = 2, kXBytes = 4, kParts = 1;
  template <int P>
  static inline IntVec weights(const uint32_t* w) {
    return IntVec::load(w);
  }
  template <int P>
  static inline IntVec input(const char* x) {
    return IntVec::set1(load_as<uint32_t>(x));
  }
  static inline Vec dot(Vec a, IntVec x, IntVec w) {
    return {vbfdotq_f32(a.low, vreinterpretq_bf16_u32(w.low), vreinterpretq_bf16_u32(x.low)),
            vbfdotq_f32(a.high, vreinterpretq_bf16_u32(w.high), vreinterpretq_bf16_u32(x.high))};
  }
};

#else

// x is rounded to bfloat16 but kept as float32; its two neighbors are multiplied in turn.
struct DotBfloat16 {
  using Acc = Vec;
  static constexpr int32_t kX = -1;
  static constexpr int kInputs = 2, kXBytes = 8, kParts = 2;
  template <int P>
  static inline Vec weights(const uint32_t* w) {
    const IntVec pairs = IntVec::load(w);
    return as_float(P == 0 ? low_halves_up(pairs) : high_halves(pairs));
  }
  template <int P>
  static inline Vec input(const char* x) {
    return Vec::set1(load_as<float>(x + 4 * P));
  }
  static inline Vec dot(Vec a, Vec x, Vec w) { return fma(x, w, a); }
};

#endif

// x in bytes, which have no room for outliers.
struct ByteInputs {
  static constexpr int32_t kX = -1;
  static constexpr int kInputs = 4, kXBytes = 4;
};

// x is unsigned, with 128 for zero. That adds 128 times the sum of the weights, which is subtracted
// at the end. All of it is modulo 2^32.
struct UnsignedInputs : ByteInputs {
  static inline IntVec finish(IntVec a, const int32_t* sums) {
    return subtract_128(a, IntVec::load(sums));
  }
  static inline void put(Vec x, Vec inverse, char* row, int64_t k) {
    store_bytes(quantise(x, inverse, 128), reinterpret_cast<int8_t*>(row) + k);
  }
};

#if defined(__AVX512VNNI__)

struct DotInt8 : UnsignedInputs {
  using Acc = IntVec;
  static constexpr int kParts = 1;
  template <int P>
  static inline IntVec weights(const uint32_t* w) {
    return IntVec::load(w);
  }
  template <int P>
  static inline IntVec input(const char* x) {
    return IntVec::set1(load_as<uint32_t>(x));
  }
  // Inline assembly, because GCC 12 copies every accumulator around the intrinsic, which halves the
  // speed.
  static inline IntVec dot(IntVec a, IntVec x, IntVec w) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(a.v) : "v"(x.v), "vm"(w.v));
    return a;
  }
};

#elif defined(PRECIS_NEON)

struct DotInt8 : ByteInputs {
  using Acc = IntVec;
  static constexpr int kParts = 1;
  template <int P>
  static inline IntVec weights(const uint32_t* w) {
    return IntVec::load(w);
  }
  template <int P>
  static inline IntVec input(const char* x) {
    return IntVec::set1(load_as<uint32_t>(x));
  }
  // Weights are at least -127, so that two products fit in 16 bits.
  static inline IntVec dot(IntVec a, IntVec x, IntVec w) {
    return {dot4(a.low, x.low, w.low), dot4(a.high, x.high, w.high)};
  }
  static inline IntVec finish(IntVec a, const int32_t*) { return a; }
  static inline void put(Vec x, Vec inverse, char* row, int64_t k) {
    store_bytes(quantise(x, inverse, 0), reinterpret_cast<int8_t*>(row) + k);
  }
};

#else

// VPMADDUBSW saturates, so both sides are widened to 16 bits: k, k + 2, then k + 1, k + 3.
struct DotInt8 {
  using Acc = IntVec;
  static constexpr int32_t kX = -1;
  static constexpr int kInputs = 4, kXBytes = 8, kParts = 2;
  template <int P>
  static inline IntVec weights(const uint32_t* w) {
    const IntVec quads = IntVec::load(w);
    return P == 0 ? even_bytes(quads) : odd_bytes(quads);
  }
  template <int P>
  static inline IntVec input(const char* x) {
    return IntVec::set1(load_as<uint32_t>(x + 4 * P));
  }
  static inline IntVec dot(IntVec a, IntVec x, IntVec w) { return dot16(a, x, w); }
  static inline IntVec finish(IntVec a, const int32_t*) { return a; }
  static inline void put(Vec x, Vec inverse, char* row, int64_t k) {
    store_halves(quantise(x, inverse, 0), reinterpret_cast<int16_t*>(row) + k);
  }
};

#endif

// Weights are unsigned, with 8 for zero, and x is signed. That adds 8 times the sum of the group's
// x, which the offset subtracts.
struct DotInt4 {
  using Acc = IntVec;
  static constexpr int32_t kX = -1;
  // The four units of a group take 32 bytes of x, its scale (float32) and the offset (int32).
  static constexpr int kInputs = 8, kXBytes = 10, kParts = 2;
  static constexpr int kScaleAt = 32, kOffsetAt = 36;
  template <int P>
  static inline IntVec weights(const uint32_t* w) {
    return P == 0 ? low_nibbles(IntVec::load(w)) : high_nibbles(IntVec::load(w));
  }
  template <int P>
  static inline IntVec input(const char* x) {
    return IntVec::set1(load_as<uint32_t>(x + 4 * P));
  }
#if defined(__AVX512VNNI__)
  static inline IntVec dot(IntVec a, IntVec x, IntVec w) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(a.v) : "v"(w.v), "vm"(x.v));
    return a;
  }
  static inline IntVec finish(IntVec a, IntVec offset) { return add(a, offset); }
#elif defined(__AVX2__)
  // The eight pairs of products of a group fit in 16 bits: 8 x 2 x 15 x 127 < 2^15.
  static inline IntVec dot(IntVec a, IntVec x, IntVec w) { return dot8_to_16(a, x, w); }
  static inline IntVec finish(IntVec a, IntVec offset) { return add(add_halves(a), offset); }
#elif defined(PRECIS_NEON)
  static inline IntVec dot(IntVec a, IntVec x, IntVec w) {
    return {dot4(a.low, x.low, w.low), dot4(a.high, x.high, w.high)};
  }
  static inline IntVec finish(IntVec a, IntVec offset) { return add(a, offset); }
#else
  static inline IntVec dot(IntVec a, IntVec x, IntVec w) {
    for (int i = 0; i < 8; i++) {
      int32_t sum = 0;
      for (int j = 0; j < 32; j += 8) {
        sum += static_cast<int32_t>(w.v[i] >> j & 255) * static_cast<int8_t>(x.v[i] >> j);
      }
      a.v[i] += static_cast<uint32_t>(sum);
    }
    return a;
  }
  static inline IntVec finish(IntVec a, IntVec offset) { return add(a, offset); }
#endif
};

}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_CPU_DOT_H_
