// y[m, n] = exp(x[m, n]) / sum_j exp(x[m, j]), or its logarithm            native/src/ops/softmax.h
//
// There is one block per row. The row is read twice: for the maximum and the sum in one pass
// (Milakov & Gimelshein 2018), and, from L2, to be written.
#include "kernels.h"
#include "ops/softmax.h"

namespace precis {
namespace {

// Updates the running maximum and the sum of exp(x - largest) with eight values; missing ones are
// -inf.
__device__ __forceinline__ void add_eight(const float (&v)[kEight], float* largest, float* sum) {
  float most = *largest;
#pragma unroll
  for (int i = 0; i < kEight; i++) most = Largest()(most, v[i]);
  if (most == -INFINITY) return;
  float s = *sum * expf(*largest - most);
#pragma unroll
  for (int i = 0; i < kEight; i++) s += expf(v[i] - most);
  *largest = most;
  *sum = s;
}

__global__ void __launch_bounds__(512)
    softmax_kernel(Matrix<const float> x, Matrix<float> y, int width, bool logarithm,
                   unsigned long long* problem) {
  const int64_t m = blockIdx.x;
  const float* from = x.row(m);
  const int step = static_cast<int>(blockDim.x) * kEight;
  float largest = -INFINITY, sum = 0;
  const auto load = [&](int n, int count) {
    RawEight<float> held;
    held.load(from + n, count);
    return held;
  };
  for_eights<4>(thread() * kEight, width, step, load,
                [&](int, int count, const RawEight<float>& held) {
                  float v[kEight];
                  held.convert(v);
#pragma unroll
                  for (int i = 0; i < kEight; i++) v[i] = i < count ? v[i] : -INFINITY;
                  add_eight(v, &largest, &sum);
                });
  const float all = block_reduce(largest, Largest());
  if (!(all > -INFINITY && all < INFINITY)) {  // uniform over the block
    if (thread() == 0) {
      note_problem(problem, ProblemOp::kSoftmax, m,
                   all != all ? ProblemKind::kNan
                   : all > 0  ? ProblemKind::kPositiveInfinity
                              : ProblemKind::kNothingFinite);
    }
    return;
  }
  sum = block_reduce(largest == -INFINITY ? 0.0f : sum * expf(largest - all), Sum());
  const float scale = 1.0f / sum, log_sum = logf(sum);
  for_eights<4>(thread() * kEight, width, step, load,
                [&](int n, int count, const RawEight<float>& held) {
                  float v[kEight];
                  held.convert(v);
#pragma unroll
                  for (int i = 0; i < kEight; i++) {
                    v[i] = logarithm ? v[i] - all - log_sum : expf(v[i] - all) * scale;
                  }
                  store8(y.row(m) + n, count, v);
                });
}

}  // namespace

cudaError_t softmax_cuda(CudaContext& context, const precis_softmax_args& a) {
  const int64_t m = rows(a.x), width = columns(a.x);
  if (m == 0) return cudaSuccess;
  const int threads = width <= 1024 ? 64 : width <= 4096 ? 128 : 512;
  return launch("softmax", softmax_kernel, static_cast<uint32_t>(m), threads, 0, context.stream,
                matrix<const float>(a.x), matrix<float>(a.y), static_cast<int>(width),
                a.logarithm != 0, context.problem);
}

}  // namespace precis
