// Dropout of single elements on their way through a kernel; native/src/ops/dropout.h defines the mask.
#ifndef PRECIS_CUDA_ELEMENT_DROPOUT_CUH_
#define PRECIS_CUDA_ELEMENT_DROPOUT_CUH_

#include "dropout.cuh"
#include "precis.h"

namespace precis {

struct ElementDropout {
  uint32_t threshold;
  float scale;
  uint64_t seed, offset;
  const int64_t* rows;  // dropout_rows; nullptr: rows of the batch
};

// Returns v times the scale of kept elements, or 0 for a dropped element.
__device__ __forceinline__ float dropped(const ElementDropout& d, uint32_t word, float v) {
  return word >= d.threshold ? v * d.scale : 0.0f;
}
// The index in the mask of element n of a row of this width.
__device__ __forceinline__ uint64_t dropout_index(const DropoutRow& row, int64_t n, int64_t width) {
  return row.row * static_cast<uint64_t>(width) + static_cast<uint64_t>(n);
}
// The same as above for element (m, n) of a matrix of this width.
__device__ __forceinline__ float dropped(const ElementDropout& d, int64_t m, int64_t n,
                                         int64_t width, float v) {
  const DropoutRow row = dropout_row(d.rows, m, d.offset);
  return dropped(d, dropout_word(d.seed, row.offset, dropout_index(row, n, width)), v);
}

static inline ElementDropout element_dropout(float probability, uint64_t seed, uint64_t offset,
                                             const precis_tensor& rows) {
  return {dropout_threshold(probability), dropout_scale(probability), seed, offset,
          static_cast<const int64_t*>(rows.data)};
}
static inline ElementDropout element_dropout(const precis_dropout_args& a) {
  return element_dropout(a.probability, a.seed, a.offset, a.dropout_rows);
}

// The dropout of a matrix of float32 or bfloat16 that another kernel has computed.
struct MatrixDropout {
  AnyMatrix y;  // of the dropout; data nullptr: there is none
  ElementDropout mask;
  int64_t width;
  bool rounds;  // the elements are rounded to bfloat16 before

  // Drops elements [n, n + count) of row m and stores them to y.
  __device__ __forceinline__ void operator()(int64_t m, int64_t n, int count,
                                             float (&v)[kEight]) const {
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      if (i >= count) break;
      v[i] = dropped(mask, m, n + i, width, rounds ? round_to_bf16(v[i]) : v[i]);
      if (y.bf16) v[i] = round_to_bf16(v[i]);
    }
    y.save(m, n, count, v);
  }
};
static inline MatrixDropout matrix_dropout(const precis_dropout_args& a) {
  return {any_matrix(a.y), element_dropout(a), columns(a.x), a.x.dtype == PRECIS_BFLOAT16};
}

}  // namespace precis

#endif  // PRECIS_CUDA_ELEMENT_DROPOUT_CUH_
