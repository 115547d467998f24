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

// Packs n rows as the columns of a right operand: tiles of kTile rows, in each of which a step is
// one word of every row. row_of(i) points to row i, which has head_dim elements.
template <class Op, class RowOf>
void pack_row_tiles(int64_t n, int64_t head_dim, int64_t words, const RowOf& row_of, float* to) {
  for (int64_t j = 0; j < n; j += W) {
    float* tile = to + j / kTile * kTile * words + j % kTile;
    for (int64_t d = 0; d < words; d += W) {
      Vec m[W];
      for (int i = 0; i < W; i++) {
        m[i] = j + i < n ? Op::load(row_of(j + i) + d * Op::kPerWord, head_dim - d * Op::kPerWord)
                         : Vec::zero();
      }
      transpose(m);
      for (int i = 0; i < W && d + i < words; i++) m[i].store(tile + (d + i) * kTile);
    }
  }
}

// Packs n rows as the steps of a right operand: a step is one word, kPerWord rows, of every
// dimension, and takes width floats, head_dim rounded up to whole vectors.
template <class Op, class X>
void pack_values(int64_t n, int64_t head_dim, int64_t width, const X* from, int64_t stride,
                 float* to) {
  for (int64_t j = 0; j < n; j += Op::kPerWord, to += width) {
    const X* x0 = from + j * stride;
    const X* x1 = j + 1 < n ? x0 + stride : nullptr;
    for (int64_t d = 0; d < head_dim; d += W) {
      Op::load_rows(x0 + d, x1 != nullptr ? x1 + d : nullptr, head_dim - d).store(to + d);
    }
  }
}

// Packs one row of a left operand.
template <class Op, class X>
void pack_words(const X* x, int64_t head_dim, int64_t words, float* to) {
  for (int64_t d = 0; d < words; d += W) {
    const Vec v = Op::load(x + d * Op::kPerWord, head_dim - d * Op::kPerWord);
    d + W <= words ? v.store(to + d) : v.store(to + d, static_cast<int>(words - d));
  }
}

// The product of weights and values, each row of which is scaled.
struct ValueTile {
  const float* weights;
  int64_t weight_stride;
  const float* values;
  int64_t value_stride;
  int64_t steps;
  const float* scale_rows;
  void* out;
  int64_t out_stride;
  int64_t out_columns;
};

template <class Op, class Y, int R, int N>
void value_tile(const ValueTile& t) {
  Vec c[R][N];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) c[r][n] = Vec::zero();
  }
  multiply<Op, R, N>(t.weights, t.weight_stride, t.values, t.value_stride, t.steps, c);
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
    Y* y = static_cast<Y*>(t.out) + r * t.out_stride;
    const Vec scale = Vec::set1(t.scale_rows[r]);
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) {
      const Vec value = c[r][n] * scale;
      const int64_t left = t.out_columns - n * W;
      left >= W ? value.store(y + n * W) : value.store(y + n * W, static_cast<int>(left));
    }
  }
}

// Picks the instance for a number of rows in [1, kRows] and of vectors in [1, kVecs].
template <class Op, class Y, int R = kRows, int N = kVecs>
void value_tile_of(int64_t rows, int64_t vecs, const ValueTile& t) {
  if constexpr (R > 1) {
    if (rows < R) return value_tile_of<Op, Y, R - 1, N>(rows, vecs, t);
  }
  if constexpr (N > 1) {
    if (vecs < N) return value_tile_of<Op, Y, R, N - 1>(rows, vecs, t);
  }
  value_tile<Op, Y, R, N>(t);
}

}  // namespace
}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_OPS_ATTENTION_TILES_H_
