// *result = sum_i x[i]^2 in double precision                        native/src/ops/sum_of_squares.h
//
// Squares of float32 are exact in double. A block sums a chunk of a fixed size, and one block adds
// the chunks' sums, so the order depends on the length alone.
#include "kernels.h"
#include "ops/sum_of_squares.h"

namespace precis {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kChunk = 16384;

__global__ void __launch_bounds__(kThreads)
    sum_of_squares_kernel(const float* x, int64_t count, double* sums) {
  const int64_t first = int64_t{blockIdx.x} * kChunk;
  const int64_t end = min(first + kChunk, count);
  double sum = 0;
  for_eights<4>(
      first + thread() * kEight, end, int64_t{kThreads * kEight},
      [&](int64_t i, int count) {
        RawEight<float> held;
        held.load(x + i, count);
        return held;
      },
      [&](int64_t, int, const RawEight<float>& held) {
        float v[kEight];
        held.convert(v);
#pragma unroll
        for (int j = 0; j < kEight; j++) {
          sum += static_cast<double>(v[j]) * static_cast<double>(v[j]);
        }
      });
  sum = block_reduce(sum, Sum());
  if (thread() == 0) sums[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads)
    sum_of_sums_kernel(const double* sums, int64_t count, double* result) {
  double sum = 0;
  for (int64_t i = thread(); i < count; i += kThreads) sum += sums[i];
  sum = block_reduce(sum, Sum());
  if (thread() == 0) *result = sum;
}

}  // namespace

cudaError_t sum_of_squares_cuda(CudaContext& context, const precis_sum_of_squares_args& a) {
  const int64_t count = columns(a.x), chunks = ceil_div(count, kChunk);
  void* memory = nullptr;
  PRECIS_RETURN_IF_ERROR(
      context.scratch.reserve(static_cast<size_t>(chunks + 1) * sizeof(double), &memory));
  double* sums = static_cast<double*>(memory);
  if (chunks > 0) {
    PRECIS_RETURN_IF_ERROR(launch("sum_of_squares", sum_of_squares_kernel,
                                  static_cast<uint32_t>(chunks), kThreads, 0, context.stream,
                                  static_cast<const float*>(a.x.data), count, sums));
  }
  return launch("sum_of_squares, chunks", sum_of_sums_kernel, 1, kThreads, 0, context.stream, sums,
                chunks, a.result);
}

}  // namespace precis
