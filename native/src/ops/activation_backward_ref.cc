#include <cmath>

#include "ops/activation_backward.h"

namespace precis {

namespace {

// act(x) and its slope there.
struct Value {
  double y, slope;
};

Value act(int32_t kind, double x) {
  switch (kind) {
    case PRECIS_RELU:
      return {x > 0 ? x : 0, x > 0 ? 1.0 : 0.0};
    case PRECIS_GELU_TANH: {
      const double c = std::sqrt(2 / M_PI);
      const double t = std::tanh(c * (x + 0.044715 * x * x * x));
      // The slope of tanh reaches 0 long before its factor overflows.
      const double du = t * t == 1 ? 0 : c * (1 + 3 * 0.044715 * x * x);
      return {0.5 * x * (1 + t), 0.5 * (1 + t) + (du == 0 ? 0 : 0.5 * x * (1 - t * t) * du)};
    }
    case PRECIS_GELU_ERF: {
      const double phi = 0.5 * std::erfc(-x / std::sqrt(2.0));
      const double density = std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI);
      return {x * phi, phi + (density == 0 ? 0 : x * density)};
    }
    case PRECIS_SILU: {
      const double s = 1 / (1 + std::exp(-x)), rest = 1 / (1 + std::exp(x));
      return {x * s, s * (1 + (rest == 0 ? 0 : x * rest))};
    }
    default: {
      const double t = std::tanh(x);
      return {t, 1 - t * t};
    }
  }
}

}  // namespace

void activation_backward_ref(const precis_activation_backward_args& a) {
  const int64_t n = columns(a.dy);
  for (int64_t m = 0; m < rows(a.dy); m++) {
    for (int64_t f = 0; f < n; f++) {
      const Value value = act(a.kind, load_element(a.x, m, f));
      const double dy = load_element(a.dy, m, f);
      const double gate = a.gated ? load_element(a.x, m, n + f) : 1;
      store_element(a.dx, m, f, dy * value.slope * gate);
      if (a.gated) store_element(a.dx, m, n + f, dy * value.y);
    }
  }
}

}  // namespace precis
