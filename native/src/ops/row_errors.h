// Errors of rows: a kernel that finds a bad row on some thread records it, continues, and fails
// when all threads are done.
#ifndef PRECIS_OPS_ROW_ERRORS_H_
#define PRECIS_OPS_ROW_ERRORS_H_

#include <cstdint>

#include "error.h"

namespace precis {
namespace PRECIS_ISA {

enum RowProblem { kNan = 1, kPositiveInfinity = 2, kNothingFinite = 3 };

// Returns the problem of a row whose largest value (NaN if there is any) is not finite.
static inline RowProblem problem_of(float largest) {
  return largest != largest ? kNan : largest > 0 ? kPositiveInfinity : kNothingFinite;
}

// The lowest row with a problem, and that problem.
class FirstRow {
 public:
  void note(int64_t row, RowProblem problem) {
    const int64_t mine = row * 4 + problem;
    int64_t seen = __atomic_load_n(&first_, __ATOMIC_RELAXED);
    while (mine < seen && !__atomic_compare_exchange_n(&first_, &seen, mine, true, __ATOMIC_RELAXED,
                                                       __ATOMIC_RELAXED)) {
    }
  }
  // Throws Error if a row has a problem. All threads must have finished.
  void check(const char* op, const char* tensor) const {
    if (first_ == INT64_MAX) return;
    static constexpr const char* kWhat[] = {"", "NaN in it", "+inf in it", "nothing but -inf"};
    fail(PRECIS_INVALID_ARGUMENT, "%s: row %lld of %s has %s", op,
         static_cast<long long>(first_ / 4), tensor, kWhat[first_ % 4]);
  }

 private:
  int64_t first_ = INT64_MAX;
};

}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_OPS_ROW_ERRORS_H_
