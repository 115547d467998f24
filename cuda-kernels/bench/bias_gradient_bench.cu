#include "bench.h"

namespace precis {

PRECIS_BENCH(bias_gradient) {
  const int64_t m = b.size(8192, 5), d = b.size(768, 72);
  const precis_tensor dy = b.tensor(PRECIS_BFLOAT16, {m, d});
  const precis_tensor dbias = b.tensor(PRECIS_FLOAT32, {d}, 0);
  b.row(
      "bias_gradient " + shape_text(m, d), {static_cast<double>(m * d) * 2, 0},
      [&] {
        return bias_gradient_cuda(b.context(), {dy, dbias});
      },
      [&] {
        const std::vector<double> all = b.rows(dy.data, dy.dtype, d, 0, d, m);
        double want = 0;
        for (int64_t r = 0; r < m; r++) want += all[static_cast<size_t>(r * d + d - 1)];
        b.expect_near(b.row(dbias, 0).back(), want, 1e-3, "bias_gradient");
      });
}

}  // namespace precis
