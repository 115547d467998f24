#include <cmath>

#include "bench.h"

namespace precis {

PRECIS_BENCH(activation_backward) {
  const int64_t m = b.size(8192, 5), f = b.size(2048, 40);
  const precis_tensor x = b.tensor(PRECIS_BFLOAT16, {m, 2 * f});
  const precis_tensor dx = b.tensor(PRECIS_BFLOAT16, {m, 2 * f});
  const precis_tensor dy = b.tensor(PRECIS_BFLOAT16, {m, f});
  b.row(
      "gelu gated, gradient " + shape_text(m, f), {static_cast<double>(m * f) * 10, 0},
      [&] {
        return activation_backward_cuda(b.context(), {x, dy, dx, PRECIS_GELU_TANH, 1});
      },
      [&] {
        // The gradient of the gate is dy gelu(x).
        const double v = b.row(x, m - 1)[static_cast<size_t>(f - 1)];
        const double gelu =
            0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
        b.expect_near(b.row(dx, m - 1).back(), gelu * b.row(dy, m - 1).back(), kBfloat16,
                      "the gradient of a gate");
        b.expect_finite(dx, "dx of an activation is not finite");
      });
}

}  // namespace precis
