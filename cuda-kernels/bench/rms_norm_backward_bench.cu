#include <cmath>

#include "bench.h"

namespace precis {

// dx = r (g - x r^2 mean(g x)) with g = dy weight.
PRECIS_BENCH(rms_norm_backward) {
  const int64_t m = b.size(8192, 5), d = b.size(768, 72);
  const std::string shape = " " + shape_text(m, d);
  const double n = static_cast<double>(m * d);
  const precis_tensor x = b.tensor(PRECIS_FLOAT32, {m, d}), dx = b.tensor(PRECIS_FLOAT32, {m, d});
  const precis_tensor weight = b.tensor(PRECIS_FLOAT32, {d});
  const std::vector<double> x_row = b.row(x, m / 2), weight_row = b.row(weight, 0);
  const double inverse = 1 / std::sqrt(Bench::dot(x_row, x_row) / static_cast<double>(d) + 1e-6);
  const precis_tensor dy = b.tensor(PRECIS_BFLOAT16, {m, d});
  b.row(
      "rms_norm_backward" + shape, {n * 10, 0},
      [&] {
        return rms_norm_backward_cuda(b.context(), {x, weight, dy, dx, {}, 1e-6f, 0});
      },
      [&] {
        std::vector<double> g = b.row(dy, m / 2);
        for (size_t i = 0; i < g.size(); i++) g[i] *= weight_row[i];
        const double mean = Bench::dot(g, x_row) / static_cast<double>(d);
        const std::vector<double> got = b.row(dx, m / 2);
        for (size_t i : {size_t{0}, got.size() - 1}) {
          b.expect_near(got[i], inverse * (g[i] - x_row[i] * inverse * inverse * mean), 1e-3,
                        "rms_norm_backward");
        }
      });
}

}  // namespace precis
