#include "bench.h"

namespace precis {

PRECIS_BENCH(zero) {
  const int64_t m = b.size(8192, 5), d = b.size(768, 72);
  const precis_tensor y = b.tensor(PRECIS_FLOAT32, {m, d});
  b.row(
      "zero " + shape_text(m, d), {static_cast<double>(m * d) * 4, 0},
      [&] { return zero_cuda(b.context(), {y}); },
      [&] {
        const std::vector<double> got = b.row(y, m - 1);
        b.expect(Bench::dot(got, got) == 0, "zero");
      });
}

}  // namespace precis
