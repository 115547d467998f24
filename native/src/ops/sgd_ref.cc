#include "ops/sgd.h"

namespace precis {

void sgd_ref(const precis_sgd_args& a) {
  for (int64_t i = 0; i < columns(a.parameter); i++) {
    const double p = load_element(a.parameter, 0, i);
    double g = a.gradient_scale * load_element(a.gradient, 0, i) + a.weight_decay * p;
    if (a.momentum != 0) {
      if (a.step > 1) g += a.momentum * load_element(a.buffer, 0, i);
      store_element(a.buffer, 0, i, g);
    }
    store_element(a.parameter, 0, i, p - a.learning_rate * g);
  }
}

}  // namespace precis
