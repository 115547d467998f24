#include "context.h"
#include "ops/sum_of_squares.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr int64_t kChunk = 16384;

// Four values in double precision, which fit a register of AVX2: GCC keeps wider ones in memory.
constexpr int kLanes = 4;
typedef double Doubles __attribute__((vector_size(kLanes * sizeof(double))));
typedef float Floats __attribute__((vector_size(kLanes * sizeof(float))));

static inline Doubles load(const float* p) {
  Floats x;
  __builtin_memcpy(&x, p, sizeof x);
  return __builtin_convertvector(x, Doubles);
}

// Eight sums hide the latency of the adds. Element i is in sum i / 4 mod 8.
double sum_chunk(const float* x, int64_t n) {
  constexpr int kSums = 8;
  Doubles sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums * kLanes <= n; i += kSums * kLanes) {
    for (int j = 0; j < kSums; j++) {
      const Doubles v = load(x + i + j * kLanes);
      sums[j] += v * v;
    }
  }
  double rest = 0;
  for (; i < n; i++) rest += double{x[i]} * x[i];
  const Doubles even = (sums[0] + sums[2]) + (sums[4] + sums[6]);
  const Doubles odd = (sums[1] + sums[3]) + (sums[5] + sums[7]);
  const Doubles s = even + odd;
  return ((s[0] + s[1]) + (s[2] + s[3])) + rest;
}

}  // namespace

void sum_of_squares_cpu(CpuContext& context, const precis_sum_of_squares_args& a) {
  const int64_t n = columns(a.x), chunks = (n + kChunk - 1) / kChunk;
  const float* x = static_cast<const float*>(a.x.data);
  double* sums =
      static_cast<double*>(context.scratch.reserve(static_cast<size_t>(chunks) * sizeof(double)));
  parallel_ranges(context.pool, chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c++) {
      const int64_t from = c * kChunk;
      sums[c] = sum_chunk(x + from, from + kChunk < n ? kChunk : n - from);
    }
  });
  double total = 0;
  for (int64_t c = 0; c < chunks; c++) total += sums[c];
  *a.result = total;
}

}  // namespace PRECIS_ISA
}  // namespace precis
