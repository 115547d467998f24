// Radix select: finds the k-th value without sorting, digit by digit from the most significant one,
// with a histogram of the digit in shared memory and the bin that contains the boundary.
#ifndef PRECIS_CUDA_SELECT_CUH_
#define PRECIS_CUDA_SELECT_CUH_

#include "device.h"

namespace precis {

constexpr int kDigitBits = 11;
constexpr int kBins = 1 << kDigitBits;

// A count or a sum of integers, so the order of the atomics does not change the result.
using BinSum = unsigned long long;

// Maps floats to integers of the same order.
__device__ __forceinline__ uint32_t order_bits(float x) {
  const uint32_t bits = __float_as_uint(x + 0.0f);  // -0 is 0
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// The float that order_bits maps to these.
__device__ __forceinline__ float float_of_order(uint32_t order) {
  return __uint_as_float((order & 0x80000000u) != 0 ? order & 0x7fffffffu : ~order);
}

// The bin that contains the boundary, and the sum of the bins before it.
struct Boundary {
  int bin;
  BinSum before;
};

// Finds the first bin b with before + bins[0] + ... + bins[b] > limit, ascending or from the last
// bin down. Such a bin must exist, and the number of threads must divide kBins.
__device__ inline Boundary find_boundary(const Shared<BinSum>& bins, BinSum before, BinSum limit,
                                         bool descending) {
  PRECIS_SHARED(BinSum, warp_sums, 32);
  PRECIS_SHARED(Boundary, found, 1);
  const int lane = thread() % 32, warp = thread() / 32;
  const int slice = kBins / static_cast<int>(blockDim.x), first = thread() * slice;
  auto bin = [&](int i) { return descending ? kBins - 1 - i : i; };
  BinSum mine = 0;
  for (int i = first; i < first + slice; i++) mine += bins[bin(i)];
  const BinSum sum = warp_prefix_sum(mine);
  if (lane == 31) warp_sums[warp] = sum;
  __syncthreads();
  for (int w = 0; w < warp; w++) before += warp_sums[w];
  before += sum - mine;  // now the sum of all bins before this thread's
  if (before <= limit && before + mine > limit) {
    int i = first;
    while (before + bins[bin(i)] <= limit) before += bins[bin(i++)];
    found[0] = {bin(i), before};
  }
  __syncthreads();
  return found[0];
}

}  // namespace precis

#endif  // PRECIS_CUDA_SELECT_CUH_
