// The cases that the tests of activation and activation_backward share.
#ifndef PRECIS_CUDA_TESTS_ACTIVATION_CASES_H_
#define PRECIS_CUDA_TESTS_ACTIVATION_CASES_H_

#include "device_test.h"

namespace precis {

struct ActivationCase {
  int32_t kind, gated;
  int64_t m, width, gap;
  int32_t in, out;  // the types of x and y
};

template <class F>
void for_activation_cases(const F& f) {
  for (int32_t kind : {PRECIS_RELU, PRECIS_GELU_TANH, PRECIS_GELU_ERF, PRECIS_SILU, PRECIS_TANH}) {
    for (int64_t width : {1, 9, 64, 275}) {
      for (int64_t m : {1, 8, 11}) {
        for (int32_t gated : {0, 1}) {
          for (int32_t in : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
            for (int32_t out : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
              f(ActivationCase{kind, gated, m, width, width % 8, in, out});
            }
          }
        }
      }
    }
  }
}

// The activation's input includes values at which naive formulas overflow or cancel; its gate does
// not, because the reference cancels too.
inline void spread_out(GuardedTensor& x, int64_t width, Random& random) {
  x.fill_normal(random, 3);
  const float extremes[] = {0, 1e-30f, -1e-30f, 1e4f, -1e4f, 3e38f, -3e38f, 30, -30, -11};
  for (float value : extremes) {
    store_element(x, random.below(rows(x)), random.below(width), value);
  }
}

}  // namespace precis

#endif  // PRECIS_CUDA_TESTS_ACTIVATION_CASES_H_
