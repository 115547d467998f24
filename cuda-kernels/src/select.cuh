// Finding a value among many without sorting them, digit by digit from the top: a histogram of the
// digit in shared memory, and the bin in which the boundary lies.
#ifndef PRECIS_CUDA_SELECT_CUH_
#define PRECIS_CUDA_SELECT_CUH_

#include "device.h"

namespace precis {

constexpr int kDigitBits = 11;
constexpr int kBins = 1 << kDigitBits;

// A count, or a sum of integers: the order of the atomics changes nothing.
using BinSum = unsigned long long;

// Ascending with the value.
__device__ __forceinline__ uint32_t order_bits(float x) {
  const uint32_t bits = __float_as_uint(x + 0.0f);  // -0 is 0
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// Which bin holds the boundary, and what lies before it.
struct Boundary {
  int bin;
  BinSum before;
};

// The first bin b with before + bins[0] + ... + bins[b] > limit; ascending, or from the last bin
// down. There is one. The number of threads divides kBins.
__device__ inline Boundary find_boundary(const Shared<BinSum>& bins, BinSum before, BinSum limit,
                                         bool descending) {
  PRECIS_SHARED(BinSum, warp_sums, 32);
  PRECIS_SHARED(Boundary, found, 1);
  const int lane = thread() % 32, warp = thread() / 32;
  const int share = kBins / static_cast<int>(blockDim.x), first = thread() * share;
  auto bin = [&](int i) { return descending ? kBins - 1 - i : i; };
  BinSum mine = 0;
  for (int i = first; i < first + share; i++) mine += bins[bin(i)];
  BinSum sum = mine;
#pragma unroll
  for (int d = 1; d < 32; d *= 2) {
    const BinSum left = __shfl_up_sync(kAllLanes, sum, static_cast<unsigned>(d));
    if (lane >= d) sum += left;
  }
  if (lane == 31) warp_sums[warp] = sum;
  __syncthreads();
  for (int w = 0; w < warp; w++) before += warp_sums[w];
  before += sum - mine;  // of all bins ahead of this thread's
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
