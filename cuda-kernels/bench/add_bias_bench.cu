#include "bench.h"

namespace precis {

PRECIS_BENCH(add_bias) {
  const int64_t m = b.size(8192, 5), d = b.size(768, 72);
  const precis_tensor y = b.tensor(PRECIS_FLOAT32, {m, d}), bias = b.tensor(PRECIS_FLOAT32, {d});
  const double before = b.row(y, m - 1).back();
  b.row(
      "add_bias " + shape_text(m, d), {static_cast<double>(m * d) * 8, 0},
      [&] {
        return add_bias_cuda(b.context(), {y, bias});
      },
      [&] {
        b.expect_near(b.row(y, m - 1).back(), before + b.row(bias, 0).back(), 1e-6, "add_bias");
      });
}

}  // namespace precis
