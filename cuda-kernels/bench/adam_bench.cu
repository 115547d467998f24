#include "bench.h"

namespace precis {

PRECIS_BENCH(adam) {
  const int64_t p = b.size(10'000'000, 1000);
  const std::string count = " of " + std::to_string(p);
  const precis_tensor w = b.tensor(PRECIS_FLOAT32, {p});
  const std::vector<double> values = b.row(w, 0);
  const precis_tensor g = b.tensor(PRECIS_FLOAT32, {p});
  const precis_tensor mean = b.tensor(PRECIS_FLOAT32, {p}, 0);
  const precis_tensor variance = b.tensor(PRECIS_FLOAT32, {p}, 0);
  b.row(
      "adam" + count, {28.0 * static_cast<double>(p), 0},
      [&] {
        return adam_cuda(b.context(),
                         {w, g, mean, variance, 1, 1e-4f, 0.9f, 0.999f, 1e-8f, 0, 1, 1, 0});
      },
      [&] {
        // The first step goes lr along the gradient's sign.
        const double last = b.row(g, 0).back();
        b.expect_near(b.row(w, 0).back(), values.back() - (last > 0 ? 1e-4 : -1e-4), 1e-6, "adam");
      });
}

}  // namespace precis
