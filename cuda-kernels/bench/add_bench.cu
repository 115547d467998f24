#include "bench.h"

namespace precis {

PRECIS_BENCH(add) {
  const int64_t m = b.size(8192, 5), d = b.size(768, 72);
  const precis_tensor x = b.tensor(PRECIS_BFLOAT16, {m, d});
  // y is 0, so after many runs it is still a small multiple of x.
  const precis_tensor y = b.tensor(PRECIS_FLOAT32, {m, d}, 0);
  b.row(
      "add " + shape_text(m, d), {static_cast<double>(m * d) * 10, 0},
      [&] {
        return add_cuda(b.context(), {x, y, 0.5f, 0});
      },
      [&] { b.expect_near(b.row(y, m - 1).back(), 0.5 * b.row(x, m - 1).back(), 1e-6, "add"); });
}

}  // namespace precis
