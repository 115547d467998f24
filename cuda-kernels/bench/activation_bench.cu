#include <cmath>

#include "bench.h"

namespace precis {

PRECIS_BENCH(activation) {
  const int64_t m = b.size(8192, 5), f = b.size(2048, 40);
  const precis_tensor wide = b.tensor(PRECIS_BFLOAT16, {m, 2 * f});
  const precis_tensor gated = b.tensor(PRECIS_BFLOAT16, {m, f});
  b.row(
      "gelu gated " + shape_text(m, f), {static_cast<double>(m * f) * 6, 0},
      [&] {
        return activation_cuda(b.context(), {wide, gated, PRECIS_GELU_TANH, 1});
      },
      [&] {
        const std::vector<double> in = b.row(wide, m - 1), got = b.row(gated, m - 1);
        for (size_t i : {size_t{0}, got.size() - 1}) {
          const double v = in[i];
          const double gelu =
              0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
          b.expect_near(got[i], gelu * in[i + got.size()], kBfloat16, "gelu");
        }
      });
}

}  // namespace precis
