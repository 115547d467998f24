#include <cmath>

#include "bench.h"

namespace precis {

// The gradient of a LoRA factor: few outputs, many rows.
PRECIS_BENCH(weight_gradient) {
  const int64_t m = b.size(8192, 65), n = b.size(16, 8), k = b.size(768, 72);
  const precis_tensor dy = b.tensor(PRECIS_BFLOAT16, {m, n}), x = b.tensor(PRECIS_BFLOAT16, {m, k});
  const precis_tensor dw = b.tensor(PRECIS_FLOAT32, {n, k});
  b.row(
      "weight_gradient " + shape_text(m, n) + "x" + std::to_string(k),
      {2.0 * static_cast<double>(m * (n + k)) + 4.0 * static_cast<double>(n * k),
       2.0 * static_cast<double>(m) * static_cast<double>(n * k)},
      [&] {
        return weight_gradient_cuda(b.context(), {dy, x, dw, 1, PRECIS_BFLOAT16, 0, 0});
      },
      [&] {
        const std::vector<double> all_dy = b.rows(dy.data, dy.dtype, n, 0, n, m);
        const std::vector<double> all_x = b.rows(x.data, x.dtype, k, 0, k, m);
        double want = 0, size = 0;
        for (int64_t r = 0; r < m; r++) {
          const double term = all_dy[static_cast<size_t>(r * n + n - 1)] *
                              all_x[static_cast<size_t>(r * k + k - 1)];
          want += term;
          size += term * term;
        }
        b.expect(std::fabs(b.row(dw, n - 1).back() - want) <= 1e-4 * std::sqrt(size),
                 "weight_gradient");
      });
}

}  // namespace precis
