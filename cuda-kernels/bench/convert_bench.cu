#include "bench.h"

namespace precis {

PRECIS_BENCH(convert) {
  const int64_t m = b.size(8192, 5), d = b.size(768, 72);
  const precis_tensor x = b.tensor(PRECIS_FLOAT32, {m, d}), y = b.tensor(PRECIS_BFLOAT16, {m, d});
  b.row(
      "convert to bfloat16 " + shape_text(m, d), {static_cast<double>(m * d) * 6, 0},
      [&] {
        return convert_cuda(b.context(), {x, y});
      },
      [&] { b.expect_near(b.row(y, m - 1).back(), b.row(x, m - 1).back(), kBfloat16, "convert"); });
}

}  // namespace precis
