// Sums over the rows of a matrix, for gradients of weights that every row shares. The rows are
// partitioned into chunks; each chunk has its own sums, and these are added in order. Chunks depend
// on the number of rows alone, so results are deterministic for any number of threads.
#ifndef PRECIS_CPU_COLUMN_SUMS_H_
#define PRECIS_CPU_COLUMN_SUMS_H_

#include "context.h"
#include "cpu/lanes.h"

namespace precis {
namespace PRECIS_ISA {

struct RowChunks {
  int64_t rows, size, count;

  explicit RowChunks(int64_t m) : rows(m) {
    constexpr int64_t kLeast = 16, kMost = 128;
    size = (m + kMost - 1) / kMost;
    if (size < kLeast) size = kLeast;
    count = (m + size - 1) / size;
  }
  int64_t begin(int64_t chunk) const { return chunk * size; }
  int64_t end(int64_t chunk) const { return (chunk + 1) * size < rows ? (chunk + 1) * size : rows; }
};

// Returns zero-filled sums for each of count chunks, n elements apart, in scratch memory.
static inline float* chunk_sums(CpuContext& context, int64_t count, int64_t n) {
  const size_t bytes = static_cast<size_t>(count * n) * sizeof(float);
  float* sums = static_cast<float*>(context.scratch.reserve(bytes));
  if (bytes > 0) __builtin_memset(sums, 0, bytes);
  return sums;
}

// Adds the sums of all count chunks, stride elements apart, to totals[0, n), in order.
static inline void add_chunk_sums(CpuContext& context, const float* sums, int64_t count,
                                  int64_t stride, int64_t n, float* totals) {
  parallel_pieces(context.pool, 1, n, [&](int64_t, int64_t begin, int64_t end) {
    each_vector(begin, end, [&](int64_t i, auto lanes) {
      Vec total = Vec::zero();
      for (int64_t c = 0; c < count; c++) total = total + lanes.load(sums + c * stride + i);
      lanes.store(totals + i, lanes.load(totals + i) + total);
    });
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_CPU_COLUMN_SUMS_H_
