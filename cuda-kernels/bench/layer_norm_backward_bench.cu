#include <cmath>

#include "bench.h"

namespace precis {

PRECIS_BENCH(layer_norm_backward) {
  const int64_t m = b.size(8192, 5), d = b.size(768, 72);
  const precis_tensor x = b.tensor(PRECIS_FLOAT32, {m, d}), dx = b.tensor(PRECIS_FLOAT32, {m, d});
  const precis_tensor weight = b.tensor(PRECIS_FLOAT32, {d});
  const precis_tensor dy = b.tensor(PRECIS_BFLOAT16, {m, d});
  b.row(
      "layer_norm_backward " + shape_text(m, d), {static_cast<double>(m * d) * 10, 0},
      [&] {
        return layer_norm_backward_cuda(b.context(), {x, weight, dy, dx, {}, {}, 1e-5f, 0});
      },
      [&] {
        b.expect_finite(dx, "dx of layer_norm is not finite");
        // Shifting a row does not change its result, so a row of dx adds up to 0.
        double sum = 0, size = 0;
        for (double v : b.row(dx, m - 1)) {
          sum += v;
          size += std::fabs(v);
        }
        b.expect(std::fabs(sum) <= 1e-4 * size, "the sum of a row of dx");
      });
}

}  // namespace precis
