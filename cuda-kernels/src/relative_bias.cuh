// T5's relative position bias of one head in shared memory: the buckets take a logarithm in double
// each, so they are looked up once for every distance below a bound.
#ifndef PRECIS_CUDA_RELATIVE_BIAS_CUH_
#define PRECIS_CUDA_RELATIVE_BIAS_CUH_

#include "device.h"
#include "ops/relative_position.h"

namespace precis {

// Takes a logarithm in double. By value: a kernel argument whose address is taken is copied.
PRECIS_NOINLINE __device__ inline float far_bias(const float* column, int64_t stride,
                                                 int32_t buckets, int32_t max_distance,
                                                 bool bidirectional, int relative) {
  return column[relative_position_bucket(relative, buckets, max_distance, bidirectional) * stride];
}

struct BiasTable {
  const float* data;  // (buckets, heads); nullptr: no bias
  int64_t stride;
  int32_t buckets;
  int32_t max_distance;
  bool bidirectional;

  __device__ __forceinline__ float at(int64_t relative, int64_t head) const {
    return far_bias(data + head, stride, buckets, max_distance, bidirectional,
                    static_cast<int>(relative));
  }
};

// The bias by relative position, looked up ahead for those that are at most kReach away.
constexpr int kReach = 511;
constexpr int kBiasValues = 2 * kReach + 1;

// By all threads of the block; a barrier must follow.
__device__ inline void fill_bias_values(const BiasTable& table, int64_t head, int threads,
                                        const Shared<float>& values) {
  if (table.data == nullptr) return;
  const int reach = table.max_distance < kReach ? table.max_distance : kReach;
  for (int i = thread() - reach; i <= reach; i += threads) {
    values[i + kReach] = table.at(i, head);
  }
}

// There must be a table. All distances from max_distance on have the same bias.
__device__ __forceinline__ float bias_value(const BiasTable& table, int64_t head,
                                            const Shared<float>& values, int relative) {
  const int bound = table.max_distance;
  const int near = relative < -bound ? -bound : relative > bound ? bound : relative;
  return near >= -kReach && near <= kReach ? values[near + kReach] : table.at(relative, head);
}

static inline BiasTable bias_table(const precis_tensor& bias, int32_t max_distance,
                                   bool bidirectional) {
  return {static_cast<const float*>(bias.data), row_stride(bias),
          static_cast<int32_t>(bias.dims[0]), max_distance, bidirectional};
}

}  // namespace precis

#endif  // PRECIS_CUDA_RELATIVE_BIAS_CUH_
