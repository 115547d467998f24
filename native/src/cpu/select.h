// Selection and sorting of a few candidates. Compiled once, not for each instruction set: it uses
// templates of the standard library (see isa.h).
#ifndef PRECIS_CPU_SELECT_H_
#define PRECIS_CPU_SELECT_H_

#include <cstdint>

namespace precis {

// Maps floats to integers of the same order; -0 is mapped like 0. Not for NaN.
static inline uint32_t order_bits(float x) {
  uint32_t bits;
  x += 0.0f;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// The k-th largest of n >= k >= 1 values, which are reordered.
float kth_largest(float* values, int64_t n, int64_t k);

// Puts the k largest of n keys in front, largest first.
void sort_largest(uint64_t* keys, int64_t n, int64_t k);

void sort_ascending(uint64_t* keys, int64_t n);

}  // namespace precis

#endif  // PRECIS_CPU_SELECT_H_
