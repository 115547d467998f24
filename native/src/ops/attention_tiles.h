// The register tile of attention's products over whole sequences: kRows rows by kVecs vectors. The
// left operand is read by broadcasts, so that it stays row-major; the right one lies so that its
// columns are lanes.
#ifndef PRECIS_OPS_ATTENTION_TILES_H_
#define PRECIS_OPS_ATTENTION_TILES_H_

#include "ops/attention_words.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kRows = 6, kVecs = 4;  // 24 sums of 32 registers
#elif defined(__AVX2__) || defined(PRECIS_NEON)
constexpr int kRows = 6, kVecs = 2;  // 12 of 16
#else
constexpr int kRows = 2, kVecs = 2;
#endif
constexpr int kTile = kVecs * W;  // columns of a tile

// c += a b for R rows and N vectors. A step is a word of a's row and kVecs or more vectors of b.
template <class Op, int R, int N>
inline __attribute__((always_inline)) void multiply(const float* a, int64_t a_stride,
                                                    const float* b, int64_t b_stride, int64_t steps,
                                                    Vec (&c)[R][N]) {
  for (int64_t k = 0; k < steps; k++) {
    Vec column[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) column[n] = Vec::load(b + k * b_stride + n * W);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const Vec x = Vec::set1(a[r * a_stride + k]);
#pragma GCC unroll 8
      for (int n = 0; n < N; n++) c[r][n] = Op::multiply_add(x, column[n], c[r][n]);
    }
  }
}

// Swaps rows and lanes.
void transpose(Vec (&m)[W]) {
#if defined(__AVX512F__)
  __m512i t[16];
  // Within 128-bit lanes, first 32-bit, then 64-bit words; then the lanes themselves, twice.
  for (int i = 0; i < 16; i += 2) {
    const __m512i a = _mm512_castps_si512(m[i].v), b = _mm512_castps_si512(m[i + 1].v);
    t[i] = _mm512_unpacklo_epi32(a, b);
    t[i + 1] = _mm512_unpackhi_epi32(a, b);
  }
  __m512i u[16];
  for (int i = 0; i < 16; i += 4) {
    for (int j = 0; j < 2; j++) {
      u[i + 2 * j] = _mm512_unpacklo_epi64(t[i + j], t[i + j + 2]);
      u[i + 2 * j + 1] = _mm512_unpackhi_epi64(t[i + j], t[i + j + 2]);
    }
  }
  // u[4 g + c] holds columns c, c + 4, c + 8, c + 12 of the rows 4 g .. 4 g + 3.
  for (int c = 0; c < 4; c++) {
    const __m512i low01 = _mm512_shuffle_i32x4(u[c], u[4 + c], 0x44);
    const __m512i high01 = _mm512_shuffle_i32x4(u[c], u[4 + c], 0xee);
    const __m512i low23 = _mm512_shuffle_i32x4(u[8 + c], u[12 + c], 0x44);
    const __m512i high23 = _mm512_shuffle_i32x4(u[8 + c], u[12 + c], 0xee);
    m[c].v = _mm512_castsi512_ps(_mm512_shuffle_i32x4(low01, low23, 0x88));
    m[c + 4].v = _mm512_castsi512_ps(_mm512_shuffle_i32x4(low01, low23, 0xdd));
    m[c + 8].v = _mm512_castsi512_ps(_mm512_shuffle_i32x4(high01, high23, 0x88));
    m[c + 12].v = _mm512_castsi512_ps(_mm512_shuffle_i32x4(high01, high23, 0xdd));
  }
#elif defined(PRECIS_NEON)
  // Four by four lanes; then the blocks off the diagonal change places.
  const auto four = [](float32x4_t& a, float32x4_t& b, float32x4_t& c, float32x4_t& d) {
    const auto pairs = [](float32x4_t x) { return vreinterpretq_f64_f32(x); };
    const auto lanes = [](float64x2_t x) { return vreinterpretq_f32_f64(x); };
    const float64x2_t ab0 = pairs(vtrn1q_f32(a, b)), ab1 = pairs(vtrn2q_f32(a, b));
    const float64x2_t cd0 = pairs(vtrn1q_f32(c, d)), cd1 = pairs(vtrn2q_f32(c, d));
    a = lanes(vtrn1q_f64(ab0, cd0));
    b = lanes(vtrn1q_f64(ab1, cd1));
    c = lanes(vtrn2q_f64(ab0, cd0));
    d = lanes(vtrn2q_f64(ab1, cd1));
  };
  for (int i = 0; i < W; i += 4) {
    four(m[i].low, m[i + 1].low, m[i + 2].low, m[i + 3].low);
    four(m[i].high, m[i + 1].high, m[i + 2].high, m[i + 3].high);
  }
  for (int i = 0; i < 4; i++) {
    const float32x4_t upper = m[i].high;
    m[i].high = m[i + 4].low;
    m[i + 4].low = upper;
  }
#else
  float t[W][W];
  for (int i = 0; i < W; i++) m[i].store(t[i]);
  for (int i = 0; i < W; i++) {
    float column[W];
    for (int j = 0; j < W; j++) column[j] = t[j][i];
    m[i] = Vec::load(column);
  }
#endif
}

}  // namespace
}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_OPS_ATTENTION_TILES_H_
