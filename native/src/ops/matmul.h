// The matrix product of layers, with weights packed once.
//
//   y[m, n] = alpha sum_k x[m, k] W[n, k]  (+ y[m, n] with accumulate)
//
// x (M, K) float32 or bfloat16, W (N, K) packed, y (M, N) float32 or bfloat16.
//
// Packed, W is tiles of 64 outputs, and a tile is [units][64] words of four bytes: one float32, two
// bfloat16 or four int8 neighbours in k of one output. Outputs are padded with zeros to 64, units
// to
// 16. These are oneDNN's BA16a64b, BA16a64b2a and BA16a64b4a of the matrix (K, N), so that oneDNN
// can read the same memory. Behind int8 tiles follow the scales (float32, max_k |W[n, k]| / 127)
// and the sums over k of the quantised weights (int32), both padded to the outputs of the tiles.
//
// W may come transposed, (K, N): its rows are then the inputs, and W packed is the same.
//
// float32: x is widened to float32. bfloat16: x is rounded to bfloat16. int8: each row of x is
// quantised with the scale max_k |x[m, k]| / (127 2^j), where j is the largest number up to
// kMaxOutlierBits for which at most int8_outliers(K) elements are above max / 2^j: a few large ones
// take more than 8 bits, so that the others keep theirs (after Dettmers et al. 2022, who leave
// whole columns in 16 bits). A row whose largest magnitude is below 2^-100 counts as zeros, a row
// with NaN or infinity gives NaN.
//
// Every y[m, n] is one float32 sum that runs through k in the order of the units, whatever M, the
// blocking and the number of threads are.
#ifndef PRECIS_OPS_MATMUL_H_
#define PRECIS_OPS_MATMUL_H_

#include "ops/op.h"

namespace precis {

constexpr int64_t kTileOutputs = 64;
constexpr int64_t kUnitBytes = 4;
constexpr int64_t kUnitMultiple = 16;
// Where quantisation gives up: 127 / magnitude must stay a finite float32.
constexpr float kSmallestMagnitude = 0x1p-100f;
// Beyond it a sum of products of int8 may leave int32.
constexpr int64_t kMaxInt8Inputs = 131072;
// Larger weights are refused: offsets into packed ones must fit in int64.
constexpr int64_t kMaxPackedDim = int64_t{1} << 31;
constexpr int64_t kMaxPackedElements = int64_t{1} << 46;
// How many elements of a row may take more than 8 bits, and how many more.
constexpr int kMaxOutlierBits = 7;
static inline int64_t int8_outliers(int64_t inputs) { return inputs <= 32768 ? inputs / 64 : 0; }

struct PackedLayout {
  int64_t tiles;
  int64_t unit_inputs; /* neighbours in k of one unit */
  int64_t units;       /* of a tile, padding included */
  int64_t scales;      /* offset in bytes, int8 only */
  int64_t sums;
  int64_t bytes;
};

static inline PackedLayout packed_layout(int64_t outputs, int64_t inputs, int32_t dtype) {
  PackedLayout p;
  p.tiles = (outputs + kTileOutputs - 1) / kTileOutputs;
  p.unit_inputs = dtype == PRECIS_INT8 ? 4 : dtype == PRECIS_BFLOAT16 ? 2 : 1;
  const int64_t step = p.unit_inputs * kUnitMultiple;
  p.units = (inputs + step - 1) / step * kUnitMultiple;
  p.scales = p.tiles * p.units * kTileOutputs * kUnitBytes;
  p.sums = p.scales + p.tiles * kTileOutputs * 4;
  p.bytes = dtype == PRECIS_INT8 ? p.sums + p.tiles * kTileOutputs * 4 : p.scales;
  return p;
}

// Checks everything that the packed size depends on, and returns that size in bytes.
int64_t check_packed_size(const Check& check, const precis_matmul_pack_args& a);

// weights: what a.w was packed from.
void matmul_ref(const precis_matmul_args& a, const precis_matmul_pack_args& weights);
// The value that a packed weight stands for.
float packed_weight_ref(const precis_matmul_pack_args& weights, int64_t n, int64_t k);

PRECIS_DECLARE_CPU_KERNEL(matmul_pack_cpu, precis_matmul_pack_args)
PRECIS_DECLARE_CPU_KERNEL(matmul_cpu, precis_matmul_args)

}  // namespace precis

#endif  // PRECIS_OPS_MATMUL_H_
