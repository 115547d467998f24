// Integer arithmetic on ranges of work and of memory.
#ifndef PRECIS_CPU_RANGES_H_
#define PRECIS_CPU_RANGES_H_

#include <cstdint>

namespace precis {

static inline int64_t ceil_div(int64_t n, int64_t divisor) { return (n + divisor - 1) / divisor; }
static inline int64_t round_up(int64_t n, int64_t multiple) {
  return ceil_div(n, multiple) * multiple;
}

// The first item of slice i when n items are partitioned into count slices whose sizes differ by
// one at most.
static inline int64_t slice_begin(int64_t n, int64_t count, int64_t i) { return n * i / count; }

}  // namespace precis

#endif  // PRECIS_CPU_RANGES_H_
