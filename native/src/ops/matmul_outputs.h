// The epilogue of matmul: int8 sums are dequantized, rows are scaled by alpha and stored or added.
#ifndef PRECIS_OPS_MATMUL_OUTPUTS_H_
#define PRECIS_OPS_MATMUL_OUTPUTS_H_

#include "ops/matmul_inputs.h"
#include "ops/matmul_product.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

// Dequantizes the int32 sums of rows from m on in place; w is the tile.
template <class D>
void dequantise(uint32_t* acc, int rows, const Inputs& x, int64_t m, const uint32_t* w,
                const float* scales, const int32_t* sums) {
  for (int r = 0; r < rows; r++) {
    constexpr int kVectors = kTileOutputs / W;
    const int64_t at = m + r - x.first;
    const Vec x_scale = Vec::set1(x.scales[at]);
    uint32_t* p = acc + r * kTileOutputs;
    IntVec sum[kVectors];
    for (int v = 0; v < kVectors; v++) sum[v] = D::finish(IntVec::load(p + v * W), sums + v * W);
    if constexpr (has_outliers<D>()) {
      const Outlier* row = x.outliers.data + at * x.outliers.most;
      const OutlierCounts count = x.outliers.counts[at];
      for (const Outlier* o = row; o < row + count.even; o++) {
        const IntVec pair = IntVec::set1(o->pair);
        for (int v = 0; v < kVectors; v++) {
          sum[v] = dot16(sum[v], pair, even_bytes(IntVec::load(w + o->word + v * W)));
        }
      }
      const Outlier* end = row + x.outliers.most;
      for (const Outlier* o = end - count.odd; o < end; o++) {
        const IntVec pair = IntVec::set1(o->pair);
        for (int v = 0; v < kVectors; v++) {
          sum[v] = dot16(sum[v], pair, odd_bytes(IntVec::load(w + o->word + v * W)));
        }
      }
    }
    for (int v = 0; v < kVectors; v++) {
      (to_float(sum[v]) * (x_scale * Vec::load(scales + v * W)))
          .store(reinterpret_cast<float*>(p + v * W));
    }
  }
}

template <class Y, bool kAccumulate>
void store_row(const float* acc, Vec alpha, int64_t outputs, Y* y) {
  for (int64_t n = 0; n < outputs; n += W) {
    const int left = static_cast<int>(outputs - n);
    Vec v = Vec::load(acc + n) * alpha;
    if (left >= W) {
      if constexpr (kAccumulate) v = v + Vec::load(y + n);
      v.store(y + n);
    } else {
      if constexpr (kAccumulate) v = v + Vec::load(y + n, left);
      v.store(y + n, left);
    }
  }
}

void store_rows(const MatmulProduct& p, const uint32_t* acc, int64_t m, int rows, int64_t n) {
  const int64_t left = columns(p.y) - n;
  const int64_t outputs = left < kTileOutputs ? left : kTileOutputs;
  const Vec alpha = Vec::set1(p.alpha);
  for (int r = 0; r < rows; r++) {
    const float* from = reinterpret_cast<const float*>(acc + r * kTileOutputs);
    if (p.y.dtype == PRECIS_BFLOAT16) {
      store_row<uint16_t, false>(from, alpha, outputs, row<uint16_t>(p.y, m + r) + n);
    } else if (p.accumulate) {
      store_row<float, true>(from, alpha, outputs, row<float>(p.y, m + r) + n);
    } else {
      store_row<float, false>(from, alpha, outputs, row<float>(p.y, m + r) + n);
    }
  }
}

}  // namespace
}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_OPS_MATMUL_OUTPUTS_H_
