#include <cmath>

#include "ops/layer_norm_backward.h"

namespace precis {

void layer_norm_backward_ref(const precis_layer_norm_backward_args& a) {
  const int64_t width = columns(a.x);
  auto add = [](const precis_tensor& gradient, int64_t d, double value) {
    store_element(gradient, 0, d, load_element(gradient, 0, d) + value);
  };
  for (int64_t m = 0; m < rows(a.x); m++) {
    double mean = 0, variance = 0;
    for (int64_t d = 0; d < width; d++) mean += load_element(a.x, m, d) / width;
    for (int64_t d = 0; d < width; d++) {
      variance += std::pow(load_element(a.x, m, d) - mean, 2) / width;
    }
    const double r = 1 / std::sqrt(variance + a.epsilon);
    auto normal = [&](int64_t d) { return (load_element(a.x, m, d) - mean) * r; };
    auto gradient = [&](int64_t d) {
      return load_element(a.weight, 0, d) * load_element(a.dy, m, d);
    };
    double mean_gradient = 0, mean_product = 0;
    for (int64_t d = 0; d < width; d++) {
      mean_gradient += gradient(d) / width;
      mean_product += gradient(d) * normal(d) / width;
    }
    for (int64_t d = 0; d < width; d++) {
      const double dx = r * (gradient(d) - mean_gradient - normal(d) * mean_product);
      store_element(a.dx, m, d, (a.accumulate ? load_element(a.dx, m, d) : 0) + dx);
      const double dy = load_element(a.dy, m, d);
      if (a.dweight.data != nullptr) add(a.dweight, d, dy * normal(d));
      if (a.dbias.data != nullptr) add(a.dbias, d, dy);
    }
  }
}

}  // namespace precis
