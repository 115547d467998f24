// The cases that the tests of add, convert and dropout share.
#ifndef PRECIS_CUDA_TESTS_ELEMENTWISE_CASES_H_
#define PRECIS_CUDA_TESTS_ELEMENTWISE_CASES_H_

#include "device_test.h"

namespace precis {

// x and y of every pair of types, filled with normal numbers and with a constant, and a result for
// the reference with the same constant.
struct ElementwiseCase {
  ElementwiseCase(int64_t m, int64_t n, int32_t x_type, int32_t y_type, Random& random)
      : x(x_type, {m, n}, n % 8, n % 8), y(y_type, {m, n}, n % 8, n % 8), want(y_type, {m, n}) {
    x.fill_normal(random);
    y.fill(0.75f);
    want.fill(0.75f);
  }
  GuardedTensor x, y, want;
};

template <class F>
void for_elementwise_cases(Random& random, const F& f) {
  for (int64_t m : {1, 7, 8, 19}) {
    for (int64_t n : {1, 8, 63, 64, 259, 2064}) {
      for (int32_t y_type : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        for (int32_t x_type : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          ElementwiseCase c(m, n, x_type, y_type, random);
          f(c);
        }
      }
    }
  }
}

}  // namespace precis

#endif  // PRECIS_CUDA_TESTS_ELEMENTWISE_CASES_H_
