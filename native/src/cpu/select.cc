#include "cpu/select.h"

#include <algorithm>
#include <functional>

namespace precis {

float kth_largest(float* values, int64_t n, int64_t k) {
  std::nth_element(values, values + (k - 1), values + n, std::greater<float>());
  return values[k - 1];
}

void sort_largest(uint64_t* keys, int64_t n, int64_t k) {
  if (k < n) std::nth_element(keys, keys + k, keys + n, std::greater<uint64_t>());
  std::sort(keys, keys + k, std::greater<uint64_t>());
}

void sort_ascending(uint64_t* keys, int64_t n) { std::sort(keys, keys + n); }

}  // namespace precis
