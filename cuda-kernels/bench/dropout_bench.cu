#include <cmath>

#include "bench.h"

namespace precis {

PRECIS_BENCH(dropout) {
  const int64_t m = b.size(8192, 5), d = b.size(768, 72);
  const std::string shape = " " + shape_text(m, d);
  const double n = static_cast<double>(m * d);
  const precis_tensor x = b.tensor(PRECIS_FLOAT32, {m, d}), y = b.tensor(PRECIS_BFLOAT16, {m, d});
  const std::vector<double> x_row = b.row(x, m / 2);
  b.row(
      "dropout" + shape, {n * 6, 0},
      [&] {
        return dropout_cuda(b.context(), {x, y, 1, 1, 0.1f, 0, {}});
      },
      [&] {
        const std::vector<double> got = b.row(y, m / 2);
        size_t kept = 0;
        bool right = true;
        for (size_t i = 0; i < got.size(); i++) {
          kept += got[i] != 0;
          right &= got[i] == 0 || std::fabs(got[i] - x_row[i] / 0.9) <= kBfloat16;
        }
        b.expect(right && 2 * kept > got.size(), "dropout");
      });
}

}  // namespace precis
