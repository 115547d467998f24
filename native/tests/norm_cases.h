// Helpers that the tests of the gradients of norms share, on the CPU and on a GPU.
#ifndef PRECIS_TESTS_NORM_CASES_H_
#define PRECIS_TESTS_NORM_CASES_H_

#include "test.h"

namespace precis {

// Calls f(rows, width, type of dy, accumulate) for the shapes that the tests on the CPU take.
template <class F>
void for_norm_gradients(const F& f) {
  for (int64_t width : {1, 3, 8, 17, 63, 65, 257, 768}) {
    for (int64_t m : {0, 1, 5, 67, 2100}) {
      if (m == 2100 && width != 17) continue;
      for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        for (int32_t accumulate : {0, 1}) f(m, width, dtype, accumulate);
      }
    }
  }
}

// The tolerance of a sum over m rows.
inline double sum_tolerance(int64_t m) { return 1e-6 * (1 + std::sqrt(static_cast<double>(m))); }

// Expects a sum over m rows where it was requested, and `before` where it was not.
inline void expect_sum(bool requested, double before, const GuardedTensor& got,
                       const GuardedTensor& want, int64_t m, const char* what) {
  if (requested) {
    expect_close(got, want, 2e-6, sum_tolerance(m), what);
  } else {
    EXPECT(got.at(0, 0) == before, "%s: written though absent", what);
  }
}

}  // namespace precis

#endif  // PRECIS_TESTS_NORM_CASES_H_
