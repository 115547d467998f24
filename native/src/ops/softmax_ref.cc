#include <cmath>

#include "ops/softmax.h"

namespace precis {

void softmax_ref(const precis_softmax_args& a) {
  for (int64_t m = 0; m < rows(a.x); m++) {
    double largest = -INFINITY, sum = 0;
    for (int64_t n = 0; n < columns(a.x); n++) {
      largest = std::fmax(largest, load_element(a.x, m, n));
    }
    for (int64_t n = 0; n < columns(a.x); n++) sum += std::exp(load_element(a.x, m, n) - largest);
    for (int64_t n = 0; n < columns(a.x); n++) {
      const double x = load_element(a.x, m, n) - largest;
      store_element(a.y, m, n, a.logarithm ? x - std::log(sum) : std::exp(x) / sum);
    }
  }
}

}  // namespace precis
