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
// (AVX-512), 16 (AVX2) or, where a vector takes two of them, 8 (portable).
#if defined(__AVX512F__)
constexpr int vectors_for(int) { return 4; }
#elif defined(__AVX2__)
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

// acc[r][0, outputs) (+)= the terms' x_r W' for R rows and the first outputs of a tile. For every
// unit of the first term, kPrefetch cache lines are prefetched into L2, from `ahead` on and 256
// bytes apart.
template <class D, int R, int V, int kPrefetch>
void multiply_tile(const Term* terms, int count, int outputs, bool resume, const char* ahead,
                   uint32_t* acc) {
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
      for (int64_t u = terms[t].units; u > 0; u--, w += kTileOutputs, x += D::kXBytes) {
        auto part = [&]<int P>() __attribute__((always_inline)) {
          decltype(D::template weights<P>(w)) b[V];
          for (int v = 0; v < V; v++) b[v] = D::template weights<P>(w + v * W);
          for (int r = 0; r < R; r++) {
            const auto xr = D::template input<P>(x + r * x_stride);
            for (int v = 0; v < V; v++) a[r][v] = D::dot(a[r][v], xr, b[v]);
          }
        };
        part.template operator()<0>();
        if constexpr (D::kParts == 2) part.template operator()<1>();
        if constexpr (kPrefetch > 0) {
          for (int i = 0; i < kPrefetch; i++) __builtin_prefetch(ahead + 64 * i, 0, 2);
          ahead += kTileOutputs * kUnitBytes;
        }
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

template <class D, int kPrefetch>
void multiply_rows(int rows, const Term* terms, int count, bool resume, const char* ahead,
                   uint32_t* acc) {
  with_rows(rows, [&]<int R>() {
    multiply_tile<D, R, vectors_for(R), kPrefetch>(terms, count, kTileOutputs, resume, ahead, acc);
  });
}

}  // namespace
}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_OPS_MATMUL_TILE_H_
