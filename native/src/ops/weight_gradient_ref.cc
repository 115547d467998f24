#include "ops/weight_gradient.h"

namespace precis {

void weight_gradient_ref(const precis_weight_gradient_args& a) {
  auto operand = [&](const precis_tensor& t, int64_t m, int64_t c) -> double {
    const float f = load_element(t, m, c);
    return a.dtype == PRECIS_BFLOAT16 ? bf16_to_float(float_to_bf16(f)) : f;
  };
  for (int64_t n = 0; n < columns(a.dy); n++) {
    for (int64_t k = 0; k < columns(a.x); k++) {
      double sum = 0;
      for (int64_t m = 0; m < rows(a.x); m++) sum += operand(a.dy, m, n) * operand(a.x, m, k);
      store_element(a.dw, n, k, a.alpha * sum + (a.accumulate ? load_element(a.dw, n, k) : 0.0));
    }
  }
}

}  // namespace precis
