// Integer arithmetic on ranges of work and of memory.
#ifndef PRECIS_CPU_RANGES_H_
#define PRECIS_CPU_RANGES_H_

#include <cstdint>
#include <type_traits>

namespace precis {

// std::min and std::max are templates with external linkage, which kernels must not use (cpu/isa.h).
static inline int64_t min(int64_t a, int64_t b) { return b < a ? b : a; }
static inline int64_t max(int64_t a, int64_t b) { return a < b ? b : a; }
// Floating-point arguments would be converted to integers.
template <class T, class = std::enable_if_t<std::is_floating_point_v<T>>>
T min(T, T) = delete;
template <class T, class = std::enable_if_t<std::is_floating_point_v<T>>>
T max(T, T) = delete;

static inline int64_t ceil_div(int64_t n, int64_t divisor) { return (n + divisor - 1) / divisor; }
static inline int64_t round_up(int64_t n, int64_t multiple) {
  return ceil_div(n, multiple) * multiple;
}

// The first item of slice i when n items are partitioned into count slices whose sizes differ by
// one at most.
static inline int64_t slice_begin(int64_t n, int64_t count, int64_t i) { return n * i / count; }

}  // namespace precis

#endif  // PRECIS_CPU_RANGES_H_
