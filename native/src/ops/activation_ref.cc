#include <cmath>

#include "ops/activation.h"

namespace precis {

namespace {

double act(int32_t kind, double x) {
  switch (kind) {
    case PRECIS_RELU:
      return x > 0 ? x : 0;
    case PRECIS_GELU_TANH:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case PRECIS_GELU_ERF:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case PRECIS_SILU:
      return x / (1 + std::exp(-x));
    default:
      return std::tanh(x);
  }
}

}  // namespace

void activation_ref(const precis_activation_args& a) {
  const int64_t n = columns(a.y);
  for (int64_t m = 0; m < rows(a.y); m++) {
    for (int64_t f = 0; f < n; f++) {
      const double gate = a.gated ? load_element(a.x, m, n + f) : 1;
      store_element(a.y, m, f, act(a.kind, load_element(a.x, m, f)) * gate);
    }
  }
}

}  // namespace precis
