// T5's relative position buckets (Raffel et al. 2020, section 2.1), for CPU and CUDA.
//
// The bias of a score is a function of key position - query position. Short distances have a bucket
// each. Longer ones share buckets that widen with the logarithm of the distance; all distances from
// max_distance on share the last. Bidirectional: the first half of the buckets is for keys at or
// before the query, the second half for keys after it. Unidirectional: every key after the query
// has bucket 0.
#ifndef PRECIS_OPS_RELATIVE_POSITION_H_
#define PRECIS_OPS_RELATIVE_POSITION_H_

#include <math.h>

#include <cstdint>

#include "ops/op.h"

#if defined(__CUDACC__)
#define PRECIS_HOST_DEVICE __host__ __device__
#else
#define PRECIS_HOST_DEVICE
#endif

namespace precis {

// Number of buckets of one direction, and of those that hold a single distance. Buckets are
// defined where the second number is at least 1 and below max_distance.
PRECIS_HOST_DEVICE static inline int32_t buckets_per_direction(int32_t buckets,
                                                               bool bidirectional) {
  return bidirectional ? buckets / 2 : buckets;
}
PRECIS_HOST_DEVICE static inline int32_t exact_buckets(int32_t buckets, bool bidirectional) {
  return buckets_per_direction(buckets, bidirectional) / 2;
}

// relative is key position - query position. The result lies in [0, buckets).
PRECIS_HOST_DEVICE static inline int32_t relative_position_bucket(int64_t relative, int32_t buckets,
                                                                  int32_t max_distance,
                                                                  bool bidirectional) {
  const int32_t n = buckets_per_direction(buckets, bidirectional);
  const int32_t exact = exact_buckets(buckets, bidirectional);
  const int32_t first = bidirectional && relative > 0 ? n : 0;
  const int64_t distance = relative <= 0 ? -relative : bidirectional ? relative : 0;
  if (distance < exact) return first + static_cast<int32_t>(distance);
  if (distance >= max_distance) return first + n - 1;
  // Computed in float32, one operation at a time, as when the checkpoints were trained. The
  // logarithm is computed in double and rounded, so every math library gives bitwise identical
  // buckets.
  const float ratio = static_cast<float>(distance) / static_cast<float>(exact);
  const float log_ratio = static_cast<float>(log(static_cast<double>(ratio)));
  const float log_range = static_cast<float>(log(static_cast<double>(max_distance) / exact));
  const float position = log_ratio / log_range * static_cast<float>(n - exact);
  const int32_t bucket = exact + static_cast<int32_t>(position);
  return first + (bucket < n ? bucket : n - 1);
}

// The bias along one head's diagonals. Buckets are looked up by distance, for each direction, so a
// call computes no more logarithms than max_distance.
struct RelativeBias {
  const float* table;  // (buckets, heads); nullptr: no bias
  int64_t row_stride;
  int64_t limit;        // all distances from here on have the same bucket
  const int32_t* past;  // by distance, limit + 1
  const int32_t* future;
};

// Returns the number of int32 that relative_bias needs for sequences of at most longest tokens.
static inline int64_t relative_bias_words(int32_t max_distance, int64_t longest) {
  return 2 * ((max_distance < longest ? max_distance : longest) + 1);
}

// memory holds relative_bias_words int32 and must outlive the result.
static inline RelativeBias relative_bias(const precis_tensor& table, int32_t max_distance,
                                         bool bidirectional, int64_t longest, int32_t* memory) {
  RelativeBias bias = {static_cast<const float*>(table.data), row_stride(table), 0, memory, memory};
  if (bias.table == nullptr) return bias;
  const int32_t buckets = static_cast<int32_t>(table.dims[0]);
  bias.limit = relative_bias_words(max_distance, longest) / 2 - 1;
  int32_t* future = memory + bias.limit + 1;
  const int32_t offset = buckets_per_direction(buckets, bidirectional);
  for (int64_t d = 0; d <= bias.limit; d++) {
    memory[d] = relative_position_bucket(-d, buckets, max_distance, bidirectional);
    future[d] = d == 0 ? memory[0] : bidirectional ? offset + memory[d] : 0;
  }
  bias.future = future;
  return bias;
}

// values[i] = bias of the relative position first + i, for i < count; zeros without a table.
static inline void fill_relative_bias(const RelativeBias& bias, int64_t head, int64_t first,
                                      int64_t count, float* values) {
  if (bias.table == nullptr) {
    for (int64_t i = 0; i < count; i++) values[i] = 0;
    return;
  }
  const float* table = bias.table + head;
  const float far_past = table[bias.past[bias.limit] * bias.row_stride];
  const float far_future = table[bias.future[bias.limit] * bias.row_stride];
  int64_t i = 0;
  for (; i < count && first + i < -bias.limit; i++) values[i] = far_past;
  for (; i < count && first + i <= 0; i++) {
    values[i] = table[bias.past[-(first + i)] * bias.row_stride];
  }
  for (; i < count && first + i <= bias.limit; i++) {
    values[i] = table[bias.future[first + i] * bias.row_stride];
  }
  for (; i < count; i++) values[i] = far_future;
}

}  // namespace precis

#endif  // PRECIS_OPS_RELATIVE_POSITION_H_
