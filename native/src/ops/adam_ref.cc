#include <cmath>

#include "ops/adam.h"

namespace precis {

void adam_ref(const precis_adam_args& a) {
  const double lr = a.learning_rate, beta1 = a.beta1, beta2 = a.beta2;
  for (int64_t i = 0; i < columns(a.parameter); i++) {
    double p = load_element(a.parameter, 0, i);
    double g = a.gradient_scale * load_element(a.gradient, 0, i);
    if (a.decoupled) {
      p -= lr * a.weight_decay * p;
    } else {
      g += a.weight_decay * p;
    }
    const double m = beta1 * load_element(a.m, 0, i) + (1 - beta1) * g;
    const double v = beta2 * load_element(a.v, 0, i) + (1 - beta2) * g * g;
    const double mean = m / (1 - std::pow(beta1, a.step));
    const double variance = v / (1 - std::pow(beta2, a.step));
    store_element(a.parameter, 0, i, p - lr * mean / (std::sqrt(variance) + a.epsilon));
    store_element(a.m, 0, i, m);
    store_element(a.v, 0, i, v);
  }
}

}  // namespace precis
