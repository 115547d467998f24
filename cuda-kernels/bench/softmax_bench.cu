#include <cmath>

#include "bench.h"

namespace precis {

PRECIS_BENCH(softmax) {
  const int64_t v = b.size(32128, 500);
  for (int64_t full : {1, 32, 128}) {
    const int64_t m = b.size(full, (full + 63) / 64);
    const precis_tensor logits = b.tensor(PRECIS_FLOAT32, {m, v}, 12);
    const double bytes = static_cast<double>(m * v) * 4;
    const std::string of = " of " + std::to_string(m) + " rows of " + std::to_string(v);
    const precis_tensor out = b.tensor(PRECIS_FLOAT32, {m, v});
    b.row(
        "log-softmax" + of, {2 * bytes, 0},
        [&] {
          return softmax_cuda(b.context(), {logits, out, 1, 0});
        },
        [&] {
          const std::vector<double> in = b.row(logits, m - 1), got = b.row(out, m - 1);
          double sum = 0;
          for (double x : got) sum += std::exp(x);
          b.expect_near(sum, 1, 1e-4, "the sum of a softmax");
          b.expect_near(got[1] - got[0], in[1] - in[0], 1e-4, "log-softmax");
        });
    b.release();
  }
}

}  // namespace precis
