#include <cmath>

#include "bench.h"

namespace precis {

PRECIS_BENCH(layer_norm) {
  const int64_t m = b.size(8192, 5), d = b.size(768, 72);
  const precis_tensor x = b.tensor(PRECIS_FLOAT32, {m, d}), y = b.tensor(PRECIS_BFLOAT16, {m, d});
  const precis_tensor weight = b.tensor(PRECIS_FLOAT32, {d}), bias = b.tensor(PRECIS_FLOAT32, {d});
  b.row(
      "layer_norm " + shape_text(m, d), {static_cast<double>(m * d) * 6, 0},
      [&] {
        return layer_norm_cuda(b.context(), {x, weight, bias, y, 1e-5f, 0});
      },
      [&] {
        const std::vector<double> in = b.row(x, m - 1);
        double mean = 0, variance = 0;
        for (double v : in) mean += v / static_cast<double>(d);
        for (double v : in) variance += (v - mean) * (v - mean) / static_cast<double>(d);
        const double want =
            (in.back() - mean) / std::sqrt(variance + 1e-5) * b.row(weight, 0).back() +
            b.row(bias, 0).back();
        b.expect_near(b.row(y, m - 1).back(), want, kBfloat16, "layer_norm");
      });
}

}  // namespace precis
