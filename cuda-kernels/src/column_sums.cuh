// Sums over the columns of a matrix, in an order that depends on its shape alone. The rows are
// split into stripes; there is one block for each stripe and 512 columns, and one thread for eight
// of them, which asks for F::kAhead rows before it adds the first. Then the stripes' sums are added
// one after the other.
//
//   f.load(m, d, count)    asks for the columns [d, d + count) of row m and returns what is on its way
//   f(m, held, sums)       adds row m to the eight sums of each kind
//   finish(d, sums)        receives the sums of column d
#ifndef PRECIS_CUDA_COLUMN_SUMS_CUH_
#define PRECIS_CUDA_COLUMN_SUMS_CUH_

#include "device.h"

namespace precis {

constexpr int kSumColumns = 256;  // threads and columns of a block that adds stripes
constexpr int kStripeThreads = 64;

struct ColumnStripes {
  int64_t rows = 64;  // rows of a stripe
  int64_t count;

  explicit ColumnStripes(int64_t m) {
    constexpr int64_t kMaxStripes = 512;
    while (ceil_div(m, rows) > kMaxStripes) rows *= 2;
    count = ceil_div(m, rows);
  }
  // The size of the stripes' sums in floats.
  int64_t floats(int sums, int64_t width) const { return count * sums * width; }
};

template <int kSums, class F>
__global__ void __launch_bounds__(kStripeThreads)
    column_sums_kernel(F f, int64_t rows, int64_t stripe_rows, int width, float* stripes) {
  const int d = (static_cast<int>(blockIdx.x) * kStripeThreads + thread()) * kEight;
  if (d >= width) return;
  const int count = up_to_eight(width - d);
  const int64_t first = int64_t{blockIdx.y} * stripe_rows;
  const int64_t end = min(first + stripe_rows, rows);
  float sums[kSums][kEight] = {};
  for (int64_t m = first; m < end; m += F::kAhead) {
    typename F::Held held[F::kAhead];
#pragma unroll
    for (int j = 0; j < F::kAhead; j++) held[j] = f.load(m + j, d, m + j < end ? count : 0);
#pragma unroll
    for (int j = 0; j < F::kAhead; j++) {
      if (m + j < end) f(m + j, held[j], sums);
    }
  }
#pragma unroll
  for (int s = 0; s < kSums; s++) {
    store8(stripes + (int64_t{blockIdx.y} * kSums + s) * width + d, count, sums[s]);
  }
}

template <int kSums, class Finish>
__global__ void __launch_bounds__(kSumColumns)
    column_finish_kernel(Finish finish, const float* stripes, int count, int width) {
  const int d = static_cast<int>(blockIdx.x) * kSumColumns + thread();
  if (d >= width) return;
  float sums[kSums] = {};
  for (int i = 0; i < count; i++) {
#pragma unroll
    for (int s = 0; s < kSums; s++) sums[s] += stripes[(int64_t{i} * kSums + s) * width + d];
  }
  finish(d, sums);
}

// memory must have ColumnStripes(rows).floats(kSums, width) floats.
template <int kSums, class F, class Finish>
static inline cudaError_t column_sums(const char* name, cudaStream_t stream, int64_t rows,
                                      int64_t width, float* memory, const F& f,
                                      const Finish& finish) {
  const ColumnStripes stripes(rows);
  const uint32_t blocks = static_cast<uint32_t>(ceil_div(width, kSumColumns));
  PRECIS_RETURN_IF_ERROR(
      launch(name, column_sums_kernel<kSums, F>,
             dim3(static_cast<uint32_t>(ceil_div(width, kStripeThreads * kEight)),
                  static_cast<uint32_t>(stripes.count)),
             kStripeThreads, 0, stream, f, rows, stripes.rows, static_cast<int>(width), memory));
  return launch(name, column_finish_kernel<kSums, Finish>, blocks, kSumColumns, 0, stream, finish,
                static_cast<const float*>(memory), static_cast<int>(stripes.count),
                static_cast<int>(width));
}

}  // namespace precis

#endif  // PRECIS_CUDA_COLUMN_SUMS_CUH_
