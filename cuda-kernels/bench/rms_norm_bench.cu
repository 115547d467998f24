#include <cmath>

#include "bench.h"

namespace precis {

PRECIS_BENCH(rms_norm) {
  const int64_t m = b.size(8192, 5), d = b.size(768, 72);
  const std::string shape = " " + shape_text(m, d);
  const double n = static_cast<double>(m * d);
  const precis_tensor x = b.tensor(PRECIS_FLOAT32, {m, d}), y = b.tensor(PRECIS_BFLOAT16, {m, d});
  const precis_tensor weight = b.tensor(PRECIS_FLOAT32, {d});
  const std::vector<double> x_row = b.row(x, m / 2), weight_row = b.row(weight, 0);
  const double inverse = 1 / std::sqrt(Bench::dot(x_row, x_row) / static_cast<double>(d) + 1e-6);
  b.row(
      "rms_norm" + shape, {n * 6, 0},
      [&] {
        return rms_norm_cuda(b.context(), {x, weight, y, 1e-6f, 0});
      },
      [&] {
        const std::vector<double> got = b.row(y, m / 2);
        for (size_t i : {size_t{0}, got.size() - 1}) {
          b.expect_near(got[i], x_row[i] * inverse * weight_row[i], kBfloat16, "rms_norm");
        }
      });
}

}  // namespace precis
