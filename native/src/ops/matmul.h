// The matrix product of layers, with weights packed once.
//
//   y[m, n] = alpha sum_k x[m, k] W[n, k]  (+ y[m, n] with accumulate)
//
// x (M, K) float32 or bfloat16, W (N, K) packed, y (M, N) float32 or bfloat16.
//
// The packed layout is tiles of 64 outputs. A tile is [units][64] words of four bytes; a word holds
// adjacent k of one output: one float32, two bfloat16 or four int8. Outputs are padded with zeros
// to a multiple of 64, units to a multiple of 16:
//
//   float32     BA16a64b      in oneDNN's names for layouts of the matrix (K, N),
//   bfloat16    BA16a64b2a    so that oneDNN can read the same memory
//   int8        BA16a64b4a
//
// The int8 tiles are followed by the scales (float32, max_k |W[n, k]| / 127) and by the sums over k
// of the quantized weights (int32), both padded to the outputs of the tiles.
//
// int4 weights have a scale for each group of 32 adjacent k of an output, bfloat16:
//
//   W[n, k] = s q,   q from -8 to 7
//
// where s is m / -8 for the element m of the group that has the largest magnitude, the first of
// them, and q is W / s rounded and cut to its range. (Trying eight smaller scales, too, would take
// 2 % off the root mean square error.) A word is a unit of 8 inputs, as q + 8 in four bits: byte j
// holds k + j in its lower and k + 4 + j in its upper half. Four units are a group; a tile is
// [groups] of [4][64] words and [64] scales, and there are no units beyond the last group.
//
// W may be given transposed, (K, N): its rows are then the inputs, and the packed W is the same.
//
// With float32 weights x is widened to float32; with bfloat16 weights x is rounded to bfloat16.
// With int8 weights a GPU rounds x to bfloat16, too. On the CPU each row of x is quantized with the
// scale
//
//   max_k |x[m, k]| / (127 2^j)
//
// where j <= kMaxOutlierBits is the largest number for which at most int8_outliers(K) elements are
// above max / 2^j. These few outliers take more than 8 bits, so that the others keep their
// precision (after Dettmers et al. 2022, who keep whole columns in 16 bits). With int4 weights each
// group of 32 of a row of x is quantized to 8 bits with the scale max_k |x[m, k]| / 127 of its own,
// so that an outlier costs its group alone. What is quantized together counts as zeros where its
// largest magnitude is below 2^-100, and gives NaN where it has NaN or infinity.
//
// Every y[m, n] is one float32 sum in the order of the units (int4: of the groups, each a sum of
// integers times both scales), for any M, blocking and number of threads.
#ifndef PRECIS_OPS_MATMUL_H_
#define PRECIS_OPS_MATMUL_H_

#include "ops/op.h"

namespace precis {

constexpr int64_t kTileOutputs = 64;
constexpr int64_t kUnitBytes = 4;
constexpr int64_t kUnitMultiple = 16;
constexpr int64_t kInt4Group = 32;  // inputs that share a scale
constexpr int64_t kInt4GroupUnits = 4;
// A unit's share of the scales of its group, in words of a tile.
constexpr int64_t kInt4ScaleWords = kTileOutputs * 2 / (kInt4GroupUnits * kUnitBytes);
// Rows below this magnitude are quantized to zeros: 127 / magnitude must stay a finite float32.
constexpr float kSmallestMagnitude = 0x1p-100f;
// A longer sum of products of int8 may overflow int32.
constexpr int64_t kMaxInt8Inputs = 131072;
// Larger weights are refused: offsets into packed ones must fit in int64.
constexpr int64_t kMaxPackedDim = int64_t{1} << 31;
constexpr int64_t kMaxPackedElements = int64_t{1} << 46;
// Outliers of a row may take up to kMaxOutlierBits more than 8 bits.
constexpr int kMaxOutlierBits = 7;
static inline int64_t int8_outliers(int64_t inputs) { return inputs <= 32768 ? inputs / 64 : 0; }

struct PackedLayout {
  int64_t tiles;
  int64_t unit_inputs; /* adjacent k of one unit */
  int64_t units;       /* of a tile, padding included */
  int64_t unit_words;  /* of a tile, int4's scales included */
  int64_t scales;      /* offset in bytes, int8 only */
  int64_t sums;
  int64_t bytes;
};

static inline PackedLayout packed_layout(int64_t outputs, int64_t inputs, int32_t dtype) {
  PackedLayout p;
  p.tiles = (outputs + kTileOutputs - 1) / kTileOutputs;
  p.unit_inputs = dtype == PRECIS_INT4       ? 8
                  : dtype == PRECIS_INT8     ? 4
                  : dtype == PRECIS_BFLOAT16 ? 2
                                             : 1;
  const int64_t multiple = dtype == PRECIS_INT4 ? kInt4GroupUnits : kUnitMultiple;
  const int64_t step = p.unit_inputs * multiple;
  p.units = (inputs + step - 1) / step * multiple;
  p.unit_words = kTileOutputs + (dtype == PRECIS_INT4 ? kInt4ScaleWords : 0);
  p.scales = p.tiles * p.units * p.unit_words * kUnitBytes;
  p.sums = p.scales + p.tiles * kTileOutputs * 4;
  p.bytes = dtype == PRECIS_INT8 ? p.sums + p.tiles * kTileOutputs * 4 : p.scales;
  return p;
}

// Checks everything that the packed size depends on, and returns that size in bytes.
int64_t check_packed_size(const Check& check, const precis_matmul_pack_args& a);

// weights holds the matrices that a.w was packed from.
void matmul_ref(const precis_matmul_args& a, const precis_matmul_pack_args& weights);
// Returns the value that a packed weight represents.
float packed_weight_ref(const precis_matmul_pack_args& weights, int64_t n, int64_t k);

PRECIS_DECLARE_CPU_KERNEL(matmul_pack_cpu, precis_matmul_pack_args)
PRECIS_DECLARE_CPU_KERNEL(matmul_cpu, precis_matmul_args)

}  // namespace precis

#endif  // PRECIS_OPS_MATMUL_H_
