#include <cmath>

#include "ops/rms_norm_backward.h"

namespace precis {

void rms_norm_backward_ref(const precis_rms_norm_backward_args& a) {
  const int64_t width = columns(a.x);
  for (int64_t m = 0; m < rows(a.x); m++) {
    double squares = 0, product = 0;
    for (int64_t d = 0; d < width; d++) {
      const double x = load_element(a.x, m, d);
      squares += x * x;
      product += load_element(a.weight, 0, d) * load_element(a.dy, m, d) * x;
    }
    const double r = 1 / std::sqrt(squares / width + a.epsilon);
    for (int64_t d = 0; d < width; d++) {
      const double x = load_element(a.x, m, d), dy = load_element(a.dy, m, d);
      const double dx = r * (load_element(a.weight, 0, d) * dy - x * r * r * product / width);
      store_element(a.dx, m, d, (a.accumulate ? load_element(a.dx, m, d) : 0) + dx);
    }
  }
  if (a.dweight.data == nullptr) return;
  for (int64_t d = 0; d < width; d++) {
    double sum = 0;
    for (int64_t m = 0; m < rows(a.x); m++) {
      double squares = 0;
      for (int64_t e = 0; e < width; e++) squares += std::pow(load_element(a.x, m, e), 2);
      sum += load_element(a.dy, m, d) * load_element(a.x, m, d) /
             std::sqrt(squares / width + a.epsilon);
    }
    store_element(a.dweight, 0, d, load_element(a.dweight, 0, d) + sum);
  }
}

}  // namespace precis
