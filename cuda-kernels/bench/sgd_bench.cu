#include "bench.h"

namespace precis {

PRECIS_BENCH(sgd) {
  const int64_t p = b.size(10'000'000, 1000);
  const precis_tensor w = b.tensor(PRECIS_FLOAT32, {p}), g = b.tensor(PRECIS_FLOAT32, {p});
  const precis_tensor momentum = b.tensor(PRECIS_FLOAT32, {p}, 0);
  const double before = b.row(w, 0).back();
  b.row(
      "sgd, momentum, of " + std::to_string(p), {20.0 * static_cast<double>(p), 0},
      [&] {
        return sgd_cuda(b.context(), {w, g, momentum, 2, 1e-3f, 0.9f, 0, 1});
      },
      [&] { b.expect_near(b.row(w, 0).back(), before - 1e-3 * b.row(g, 0).back(), 1e-6, "sgd"); });
}

}  // namespace precis
