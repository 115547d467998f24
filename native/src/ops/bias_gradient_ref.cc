#include "ops/bias_gradient.h"

namespace precis {

void bias_gradient_ref(const precis_bias_gradient_args& a) {
  for (int64_t n = 0; n < columns(a.dy); n++) {
    double sum = load_element(a.dbias, 0, n);
    for (int64_t m = 0; m < rows(a.dy); m++) sum += load_element(a.dy, m, n);
    store_element(a.dbias, 0, n, sum);
  }
}

}  // namespace precis
