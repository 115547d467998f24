#include <cmath>

#include "ops/rms_norm.h"

namespace precis {

void rms_norm_ref(const precis_rms_norm_args& a) {
  for (int64_t m = 0; m < rows(a.x); m++) {
    double squares = 0;
    for (int64_t d = 0; d < columns(a.x); d++) {
      const double x = load_element(a.x, m, d);
      squares += x * x;
    }
    const double scale = 1.0 / std::sqrt(squares / columns(a.x) + a.epsilon);
    for (int64_t d = 0; d < columns(a.x); d++) {
      store_element(a.y, m, d, load_element(a.x, m, d) * scale * load_element(a.weight, 0, d));
    }
  }
}

}  // namespace precis
