// The register tile of matmul: up to kMaxRows rows of x times the outputs of one tile of packed
// weights.
#ifndef PRECIS_OPS_MATMUL_TILE_H_
#define PRECIS_OPS_MATMUL_TILE_H_

#include "cpu/dot.h"
#include "ops/matmul.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr int W = Vec::kWidth;
constexpr int kMaxRows = 6;  // of a register tile

// The number of vectors of outputs V in a register tile of R rows: R * V + V + 1 registers of 32
// (AVX-512), 16 (AVX2; NEON, where a vector takes two of 32) or 8 (portable, two of 16).
#if defined(__AVX512F__)
constexpr int vectors_for(int) { return 4; }
#elif defined(__AVX2__) || defined(PRECIS_NEON)
constexpr int vectors_for(int rows) { return rows == 1 ? 8 : rows == 2 ? 4 : 2; }
#else
constexpr int vectors_for(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }
#endif

// One of the products that a register tile sums up.
struct Term {
  const char* x;
  int64_t x_stride;
  const uint32_t* w;
  int64_t units;
};

// Prefetches kLines cache lines into L2, and moves on by kStep bytes to those of the next unit.
template <int kLines, int kStep>
static inline void prefetch_unit(const char*& ahead) {
  for (int i = 0; i < kLines; i++) __builtin_prefetch(ahead + 64 * i, 0, 2);
  ahead += kStep;
}

constexpr int passes_for(int rows) {
  return static_cast<int>(kTileOutputs) / (vectors_for(rows) * W);
}

// The words of a tile's unit; int4's scales lie behind each group of units.
template <class D>
constexpr int64_t unit_words() {
  return kTileOutputs + (D::kInputs == 8 ? kInt4ScaleWords : 0);
}
template <class D>
constexpr int kUnitSize = static_cast<int>(unit_words<D>() * kUnitBytes);

// While a group of rows is multiplied with a tile, the next tile's memory is prefetched: half of it,
// or all where the group is alone. Where the outputs take several passes, all of them take part,
// for requests that come faster than memory answers stall the multiplications; and the hardware's
// prefetcher does not follow passes that need every fourth cache line.
template <class D>
constexpr int step_for(int rows, int bytes) {
  return passes_for(rows) == 1 ? kUnitSize<D> : bytes / passes_for(rows);
}
template <class D>
constexpr int lines_for(int rows, int bytes) {
  const int lines = (passes_for(rows) == 1 ? bytes : step_for<D>(rows, bytes)) / 64;
  return lines > 0 ? lines : 1;
}
// Returns where the prefetching of one of two groups of rows begins.
template <class D>
const char* ahead_of(const uint32_t* next, int64_t units, int64_t group) {
  return reinterpret_cast<const char*>(next) +
         group * (kUnitSize<D> / 2) * (passes_for(kMaxRows) == 1 ? 1 : units);
}

#if defined(__ARM_FEATURE_MATMUL_INT8) && defined(PRECIS_NEON)

// Computes as multiply_tile, for R > 1 rows of int8, with twice the products an instruction: SMMLA
// multiplies two rows with two outputs, eight k at a time, which are two units. The sums are
// integers, so they are the same. (BFMMLA would give the bits of BFDOT by its definition, but with
// nothing to spare where a processor deviates.)
template <int R, int V, int kLines, int kStep>
void multiply_row_pairs(const Term* terms, int count, int outputs, bool resume, const char* ahead,
                        uint32_t* acc) {
  constexpr int kPairs = (R + 1) / 2, kQuads = V * W / 4;
  const auto first = [](int64x2_t a, int64x2_t b) { return vtrn1q_s64(a, b); };
  const auto second = [](int64x2_t a, int64x2_t b) { return vtrn2q_s64(a, b); };
  for (int n = 0; n < outputs; n += kQuads * 4) {
    // Of rows 2 p and 2 p + 1: outputs 0 and 1 of a quad, then 2 and 3.
    int32x4_t a[kPairs][kQuads][2];
    for (int p = 0; p < kPairs; p++) {
      for (int q = 0; q < kQuads; q++) {
        const uint32_t* from = acc + 2 * p * kTileOutputs + n + q * 4;
        int64x2_t rows[2] = {vdupq_n_s64(0), vdupq_n_s64(0)};
        if (resume) rows[0] = vreinterpretq_s64_u32(vld1q_u32(from));
        if (resume && 2 * p + 1 < R) {
          rows[1] = vreinterpretq_s64_u32(vld1q_u32(from + kTileOutputs));
        }
        a[p][q][0] = vreinterpretq_s32_s64(first(rows[0], rows[1]));
        a[p][q][1] = vreinterpretq_s32_s64(second(rows[0], rows[1]));
      }
    }
    for (int t = 0; t < count; t++) {
      const uint32_t* w = terms[t].w + n;
      const char* x = terms[t].x;
      const int64_t x_stride = terms[t].x_stride;
      // Units u and u + 1 or, at the end of an odd number, u alone.
      auto part = [&]<bool kTwo>() __attribute__((always_inline)) {
        int8x16_t rows[kPairs];
        const auto inputs = [&](int r) {
          if constexpr (kTwo) return load_as<uint64_t>(x + r * x_stride);
          return uint64_t{load_as<uint32_t>(x + r * x_stride)};
        };
        for (int p = 0; p < kPairs; p++) {
          const uint64x1_t upper = vcreate_u64(2 * p + 1 < R ? inputs(2 * p + 1) : 0);
          rows[p] = vreinterpretq_s8_u64(vcombine_u64(vcreate_u64(inputs(2 * p)), upper));
        }
        for (int q = 0; q < kQuads; q++) {
          const uint32x4_t w0 = vld1q_u32(w + q * 4);
          uint32x4_t w1 = vdupq_n_u32(0);
          if constexpr (kTwo) w1 = vld1q_u32(w + kTileOutputs + q * 4);
          const int8x16_t low = vreinterpretq_s8_u32(vzip1q_u32(w0, w1));
          const int8x16_t high = vreinterpretq_s8_u32(vzip2q_u32(w0, w1));
          for (int p = 0; p < kPairs; p++) {
            a[p][q][0] = vmmlaq_s32(a[p][q][0], rows[p], low);
            a[p][q][1] = vmmlaq_s32(a[p][q][1], rows[p], high);
          }
        }
        constexpr int kUnits = kTwo ? 2 : 1;
        for (int u = 0; u < kUnits; u++) prefetch_unit<kLines, kStep>(ahead);
        w += kUnits * kTileOutputs;
        x += kUnits * kUnitBytes;
      };
      for (int64_t u = terms[t].units / 2; u > 0; u--) part.template operator()<true>();
      if (terms[t].units % 2 != 0) part.template operator()<false>();
    }
    for (int p = 0; p < kPairs; p++) {
      for (int q = 0; q < kQuads; q++) {
        uint32_t* to = acc + 2 * p * kTileOutputs + n + q * 4;
        const int64x2_t s = vreinterpretq_s64_s32(a[p][q][0]);
        const int64x2_t t = vreinterpretq_s64_s32(a[p][q][1]);
        vst1q_u32(to, vreinterpretq_u32_s64(first(s, t)));
        if (2 * p + 1 < R) vst1q_u32(to + kTileOutputs, vreinterpretq_u32_s64(second(s, t)));
      }
    }
  }
}

#endif

// Computes as multiply_tile, of a term of int4: the products of a group are added up as integers, and
// their sum times both scales is added to the sums in memory, which is L1.
template <class D, int R, int V, int kLines, int kStep>
void multiply_groups(const Term& term, bool resume, const char* ahead, uint32_t* acc) {
  for (int n = 0; n < kTileOutputs; n += V * W) {
    float* sums = reinterpret_cast<float*>(acc) + n;
    for (int r = 0; r < R && !resume; r++) {
      for (int v = 0; v < V; v++) Vec::zero().store(sums + r * kTileOutputs + v * W);
    }
    const uint32_t* w = term.w;
    const char* x = term.x;
    for (int64_t u = term.units; u > 0; u -= kInt4GroupUnits) {
      IntVec a[R][V];
      for (int r = 0; r < R; r++) {
        for (int v = 0; v < V; v++) a[r][v] = IntVec::zero();
      }
      for (int i = 0; i < kInt4GroupUnits; i++) {
        const uint32_t* words = w + i * kTileOutputs + n;
        auto part = [&]<int P>() __attribute__((always_inline)) {
          IntVec b[V];
          for (int v = 0; v < V; v++) b[v] = D::template weights<P>(words + v * W);
          for (int r = 0; r < R; r++) {
            const IntVec xr = D::template input<P>(x + r * term.x_stride + i * D::kInputs);
            for (int v = 0; v < V; v++) a[r][v] = D::dot(a[r][v], xr, b[v]);
          }
        };
        part.template operator()<0>();
        part.template operator()<1>();
        prefetch_unit<kLines, kStep>(ahead);
      }
      const auto* scales =
          reinterpret_cast<const uint16_t*>(w + kInt4GroupUnits * kTileOutputs) + n;
      for (int r = 0; r < R; r++) {
        const char* group = x + r * term.x_stride;
        const Vec scale = Vec::set1(load_as<float>(group + D::kScaleAt));
        const IntVec offset = IntVec::set1(load_as<uint32_t>(group + D::kOffsetAt));
        for (int v = 0; v < V; v++) {
          float* to = sums + r * kTileOutputs + v * W;
          fma(to_float(D::finish(a[r][v], offset)), Vec::load(scales + v * W) * scale,
              Vec::load(to))
              .store(to);
        }
      }
      w += kInt4GroupUnits * unit_words<D>();
      x += kInt4GroupUnits * D::kXBytes;
    }
  }
}

// Reads the words of a tile as they are packed; D unpacks them for every group of rows anew.
template <class D>
struct PackedWords {
  static constexpr int64_t kUnit = kTileOutputs;  // words from a unit to the next
  template <int P>
  static auto read(const uint32_t* w, int v) {
    return D::template weights<P>(w + v * W);
  }
};

// With several groups of rows, floats of V vectors of outputs are first copied to a buffer that
// stays in L1, [unit][part][V][W]. Where an instruction set multiplies the neighbors of a word one
// after the other, they are also unpacked there, once for all rows: the instructions would compete
// with the multiplications.
template <class D, int V>
struct CopiedWords {
  static constexpr int64_t kUnit = D::kParts * V * W;
  static constexpr int64_t kUnits = (16 << 10) / (kUnit * kUnitBytes);  // that a buffer holds
  template <int P>
  static Vec read(const uint32_t* w, int v) {
    return Vec::load(reinterpret_cast<const float*>(w) + (P * V + v) * W);
  }
  // Copies units of V vectors of outputs of a tile.
  static void copy(const uint32_t* w, int64_t units, float* to) {
    for (int64_t u = 0; u < units; u++, w += kTileOutputs, to += kUnit) {
      for (int v = 0; v < V; v++) {
        D::template weights<0>(w + v * W).store(to + v * W);
        if constexpr (D::kParts == 2) D::template weights<1>(w + v * W).store(to + (V + v) * W);
      }
    }
  }
};

// acc[r][0, outputs) (+)= the terms' x_r W' for R rows and the first outputs of a tile. kLines
// and kStep tell what is prefetched, from `ahead` on.
template <class D, int R, int V, int kLines = 0, int kStep = 0, class Words = PackedWords<D>>
void multiply_tile(const Term* terms, int count, int outputs, bool resume, const char* ahead,
                   uint32_t* acc) {
  if constexpr (D::kInputs == 8) {
    return multiply_groups<D, R, V, kLines, kStep>(*terms, resume, ahead, acc);
  }
#if defined(__ARM_FEATURE_MATMUL_INT8) && defined(PRECIS_NEON)
  if constexpr (R > 1 && D::kInputs == 4) {
    return multiply_row_pairs<R, V, kLines, kStep>(terms, count, outputs, resume, ahead, acc);
  }
#endif
  using Acc = typename D::Acc;
  for (int n = 0; n < outputs; n += V * W) {
    Acc a[R][V];
    for (int r = 0; r < R; r++) {
      for (int v = 0; v < V; v++) {
        a[r][v] = resume ? load_as<Acc>(acc + r * kTileOutputs + n + v * W) : Acc::zero();
      }
    }
    for (int t = 0; t < count; t++) {
      const uint32_t* w = terms[t].w + n;
      const char* x = terms[t].x;
      const int64_t x_stride = terms[t].x_stride;
      for (int64_t u = terms[t].units; u > 0; u--, w += Words::kUnit, x += D::kXBytes) {
        auto part = [&]<int P>() __attribute__((always_inline)) {
          decltype(D::template weights<P>(w)) b[V];
          for (int v = 0; v < V; v++) b[v] = Words::template read<P>(w, v);
          for (int r = 0; r < R; r++) {
            const auto xr = D::template input<P>(x + r * x_stride);
            for (int v = 0; v < V; v++) a[r][v] = D::dot(a[r][v], xr, b[v]);
          }
        };
        part.template operator()<0>();
        if constexpr (D::kParts == 2) part.template operator()<1>();
        prefetch_unit<kLines, kStep>(ahead);
      }
    }
    for (int r = 0; r < R; r++) {
      for (int v = 0; v < V; v++) {
        a[r][v].store(reinterpret_cast<float*>(acc + r * kTileOutputs + n + v * W));
      }
    }
  }
}

// Calls f.operator()<R>() for R = rows.
template <class F>
void with_rows(int rows, const F& f) {
  switch (rows) {
    case 1:
      return f.template operator()<1>();
    case 2:
      return f.template operator()<2>();
    case 3:
      return f.template operator()<3>();
    case 4:
      return f.template operator()<4>();
    case 5:
      return f.template operator()<5>();
    case 6:
      return f.template operator()<6>();
  }
}

// Multiplies a group of rows with a tile. ahead is that of ahead_of, or null; alone says that there
// is no other group.
template <class D>
void multiply_rows(int rows, const Term* terms, int count, bool resume, const char* ahead,
                   bool alone, uint32_t* acc) {
  with_rows(rows, [&]<int R>() {
    constexpr int V = vectors_for(R), kWhole = kUnitSize<D>, kHalf = kWhole / 2;
    if (R > 2 && ahead != nullptr && !alone) {  // two groups have three rows each at least
      multiply_tile<D, R, V, lines_for<D>(R, kHalf), step_for<D>(R, kHalf)>(
          terms, count, kTileOutputs, resume, ahead, acc);
    } else if (passes_for(R) > 1 && ahead != nullptr) {
      multiply_tile<D, R, V, lines_for<D>(R, kWhole), step_for<D>(R, kWhole)>(
          terms, count, kTileOutputs, resume, ahead, acc);
    } else {
      multiply_tile<D, R, V>(terms, count, kTileOutputs, resume, nullptr, acc);
    }
  });
}
// The same, without prefetching.
template <class D>
void multiply_rows(int rows, const Term* terms, int count, bool resume, uint32_t* acc) {
  with_rows(rows, [&]<int R>() {
    multiply_tile<D, R, vectors_for(R)>(terms, count, kTileOutputs, resume, nullptr, acc);
  });
}

}  // namespace
}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_OPS_MATMUL_TILE_H_
