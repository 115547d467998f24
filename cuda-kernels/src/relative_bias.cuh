// T5's relative position bias inside a block. A bucket takes a logarithm in double, so the buckets
// of all distances up to a bound are computed once, into shared memory. In a tile of scores the
// bias depends only on the diagonal: a tile has one value for each of its diagonals, at indices
// that are known at compile time.
#ifndef PRECIS_CUDA_RELATIVE_BIAS_CUH_
#define PRECIS_CUDA_RELATIVE_BIAS_CUH_

#include "device.h"
#include "ops/relative_position.h"

namespace precis {

// Computes a bucket, with a logarithm in double.
PRECIS_NOINLINE __device__ inline int far_bucket(int32_t buckets, int32_t max_distance,
                                                 bool bidirectional, int relative) {
  return relative_position_bucket(relative, buckets, max_distance, bidirectional);
}

struct BiasTable {
  const float* data;  // (buckets, heads); nullptr without bias
  int64_t stride;
  int32_t buckets;
  int32_t max_distance;
  bool bidirectional;

  __device__ __forceinline__ float at(int64_t relative, int64_t head) const {
    const int bucket = far_bucket(buckets, max_distance, bidirectional, static_cast<int>(relative));
    return data[bucket * stride + head];
  }
};

// Tables hold the buckets of the distances 0..kReach into the past.
constexpr int kReach = 511;

// Fills in the table of buckets. All threads of the block take part; a barrier must follow.
__device__ inline void fill_buckets(const BiasTable& table, int threads,
                                    const Shared<int32_t>& past) {
  if (table.data == nullptr) return;
  for (int d = thread(); d <= kReach && d <= table.max_distance; d += threads) {
    past[d] = far_bucket(table.buckets, table.max_distance, table.bidirectional, -d);
  }
}

// Returns the bucket of a relative position; table.data must not be nullptr. All distances from
// max_distance on have the same bucket.
__device__ __forceinline__ int find_bucket(const BiasTable& table, const Shared<int32_t>& past,
                                           int relative) {
  if (relative > 0 && !table.bidirectional) return 0;
  const int distance = relative < 0 ? -relative : relative;
  const int bounded = min(distance, table.max_distance);
  if (bounded > kReach) {
    return far_bucket(table.buckets, table.max_distance, table.bidirectional, relative);
  }
  return past[bounded] + (relative > 0 ? table.buckets / 2 : 0);
}

// Fills in diagonals[i], which is added to scores at the relative position first + i, for i <
// count; with a causal mask it is -infinity in the future. All threads of the block take part; a
// barrier must follow.
__device__ __forceinline__ void fill_diagonals(const BiasTable& table, const Shared<int32_t>& past,
                                               bool causal, int head, int first, int count,
                                               int threads, const Shared<float>& diagonals) {
  for (int i = thread(); i < count; i += threads) {
    float value = 0;
    if (causal && first + i > 0) {
      value = -INFINITY;
    } else if (table.data != nullptr) {
      value = table.data[find_bucket(table, past, first + i) * table.stride + head];
    }
    diagonals[i] = value;
  }
}

static inline BiasTable bias_table(const precis_tensor& bias, int32_t max_distance,
                                   bool bidirectional) {
  return {static_cast<const float*>(bias.data), row_stride(bias),
          static_cast<int32_t>(bias.dims[0]), max_distance, bidirectional};
}

}  // namespace precis

#endif  // PRECIS_CUDA_RELATIVE_BIAS_CUH_
