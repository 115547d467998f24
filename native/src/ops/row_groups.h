// The maxima of groups of 64 values. One pass over a row computes them; they give its largest
// value, a lower bound of its k-th largest, and the groups that can be skipped.
#ifndef PRECIS_OPS_ROW_GROUPS_H_
#define PRECIS_OPS_ROW_GROUPS_H_

#include "cpu/select.h"
#include "cpu/vec.h"

namespace precis {
namespace PRECIS_ISA {

constexpr int64_t kGroup = 64;

static inline int64_t group_count(int64_t n) { return (n + kGroup - 1) / kGroup; }

// Fills maxima[0, group_count(n)) and returns the largest value of the row, NaN if there is any.
static inline float group_maxima(const float* x, int64_t n, float* maxima) {
  constexpr int W = Vec::kWidth;
  Vec all = Vec::set1(-__builtin_inff());
  bool nan = false;
  int64_t i = 0;
  for (; i + kGroup <= n; i += kGroup) {
    Vec m = Vec::load(x + i);
    nan |= any_nan(m, m);
    for (int j = W; j < kGroup; j += W) {
      const Vec v = Vec::load(x + i + j);
      nan |= any_nan(v, v);
      m = max(m, v);
    }
    maxima[i / kGroup] = m.largest();
    all = max(all, m);
  }
  float largest = all.largest();
  if (i < n) {
    float m = x[i];
    for (int64_t j = i; j < n; j++) {
      m = x[j] > m ? x[j] : m;
      nan |= x[j] != x[j];
    }
    maxima[i / kGroup] = m;
    largest = m > largest ? m : largest;
  }
  return nan ? __builtin_nanf("") : largest;
}

// Returns a lower bound of the row's k-th largest value. copy has room for all maxima.
static inline float lower_bound_of_kth(const float* maxima, int64_t groups, int64_t k,
                                       float* copy) {
  if (k > groups) return -__builtin_inff();
  for (int64_t g = 0; g < groups; g++) copy[g] = maxima[g];
  return kth_largest(copy, groups, k);
}

// Returns the lowest index of value, which must be the maximum of its group.
static inline int64_t find_in_groups(const float* x, const float* maxima, float value) {
  int64_t g = 0;
  while (maxima[g] != value) g++;
  int64_t i = g * kGroup;
  while (x[i] != value) i++;
  return i;
}

}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_OPS_ROW_GROUPS_H_
