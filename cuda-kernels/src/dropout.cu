// y[m, n] (+)= x[m, n] mask[m, n] / (1 - probability)                      native/src/ops/dropout.h
//
// One call of Philox returns the words of the elements i, i + 16, i + 32 and i + 48 of a group of
// 64 in the order of m N + n. So a thread has these four elements and 16 threads have a group: half
// a warp reads 16 neighbors at a time. Eight neighbors a thread, as in the other elementwise
// kernels, would take eight calls.
//
// With dropout_rows a group must not extend from one row into the next, whose mask may be another's.
// So groups begin anew in each row; where the width is no multiple of 64 they do not coincide with
// those of the mask, and each element takes a call of its own.
#include "element_dropout.cuh"
#include "fused_ops.h"
#include "ops/dropout.h"

namespace precis {
namespace {

constexpr int kThreads = 256;
constexpr int kLanes = 16;  // threads of a group

__global__ void __launch_bounds__(kThreads)
    dropout_kernel(AnyMatrix x, AnyMatrix y, AnyMatrix base, int64_t elements, int64_t width,
                   ElementDropout mask, bool accumulate) {
  const int64_t groups = (elements + kDropoutGroup - 1) / kDropoutGroup;
  const int lane = thread() % kLanes;
  for (int64_t g = int64_t{blockIdx.x} * (kThreads / kLanes) + thread() / kLanes; g < groups;
       g += int64_t{gridDim.x} * (kThreads / kLanes)) {
    const int64_t first = g * kDropoutGroup + lane;
    const Philox random = dropout_philox(mask.seed, mask.offset, static_cast<uint64_t>(first));
    int64_t m = first / width, n = first % width;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (first + i * kLanes >= elements) break;
      const float kept = dropped(mask, random.word[i], x.get(m, n));
      y.set(m, n, accumulate ? base.get(m, n) + kept : kept);
      for (n += kLanes; n >= width; n -= width) m++;
    }
  }
}

// Masks of the rows that are named.
__global__ void __launch_bounds__(kThreads)
    dropout_rows_kernel(AnyMatrix x, AnyMatrix y, AnyMatrix base, int64_t rows, int64_t width,
                        ElementDropout mask, bool accumulate) {
  const int64_t row_groups = (width + kDropoutGroup - 1) / kDropoutGroup;
  const bool aligned = width % kDropoutGroup == 0;
  const int lane = thread() % kLanes;
  for (int64_t g = int64_t{blockIdx.x} * (kThreads / kLanes) + thread() / kLanes;
       g < rows * row_groups; g += int64_t{gridDim.x} * (kThreads / kLanes)) {
    const int64_t m = g / row_groups, begin = g % row_groups * kDropoutGroup + lane;
    const DropoutRow of = dropout_row(mask.rows, m, mask.offset);
    const uint64_t first = of.row * static_cast<uint64_t>(width) + static_cast<uint64_t>(begin);
    Philox random = {};
    if (aligned) random = dropout_philox(mask.seed, of.offset, first);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int64_t n = begin + i * kLanes;
      if (n >= width) break;
      const uint32_t word =
          aligned ? random.word[i]
                  : dropout_word(mask.seed, of.offset, first + static_cast<uint64_t>(i * kLanes));
      const float kept = dropped(mask, word, x.get(m, n));
      y.set(m, n, accumulate ? base.get(m, n) + kept : kept);
    }
  }
}

}  // namespace

cudaError_t dropout_onto(CudaContext& context, const precis_dropout_args& a,
                         const precis_tensor& base) {
  const int64_t elements = rows(a.x) * columns(a.x);
  if (elements == 0) return cudaSuccess;
  const ElementDropout mask = element_dropout(a);
  if (a.dropout_rows.data != nullptr) {
    const int64_t groups = rows(a.x) * ceil_div(columns(a.x), kDropoutGroup);
    return launch("dropout, rows", dropout_rows_kernel,
                  grid_size(ceil_div(groups, kThreads / kLanes), 1 << 20), kThreads, 0,
                  context.stream, any_matrix(a.x), any_matrix(a.y), any_matrix(base), rows(a.x),
                  columns(a.x), mask, a.accumulate != 0);
  }
  const int64_t blocks = ceil_div(elements, kDropoutGroup * (kThreads / kLanes));
  return launch("dropout", dropout_kernel, grid_size(blocks, 1 << 20), kThreads, 0, context.stream,
                any_matrix(a.x), any_matrix(a.y), any_matrix(base), elements, columns(a.x), mask,
                a.accumulate != 0);
}

cudaError_t dropout_cuda(CudaContext& context, const precis_dropout_args& a) {
  return dropout_onto(context, a, a.y);
}

}  // namespace precis
