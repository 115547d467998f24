#include <cmath>

#include "ops/layer_norm.h"

namespace precis {

void layer_norm_ref(const precis_layer_norm_args& a) {
  const int64_t width = columns(a.x);
  for (int64_t m = 0; m < rows(a.x); m++) {
    double mean = 0, variance = 0;
    for (int64_t d = 0; d < width; d++) mean += load_element(a.x, m, d) / width;
    for (int64_t d = 0; d < width; d++) {
      variance += std::pow(load_element(a.x, m, d) - mean, 2) / width;
    }
    const double r = 1 / std::sqrt(variance + a.epsilon);
    for (int64_t d = 0; d < width; d++) {
      const double normal = (load_element(a.x, m, d) - mean) * r;
      store_element(a.y, m, d, normal * load_element(a.weight, 0, d) + load_element(a.bias, 0, d));
    }
  }
}

}  // namespace precis
