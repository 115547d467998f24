#include "bench.h"

namespace precis {

PRECIS_BENCH(adafactor) {
  const int64_t n = b.size(4096, 20), k = b.size(2048, 40);
  const precis_tensor p = b.tensor(PRECIS_FLOAT32, {n, k}), g = b.tensor(PRECIS_FLOAT32, {n, k});
  precis_adafactor_args args = {};
  args.parameter = p;
  args.gradient = g;
  args.row = b.tensor(PRECIS_FLOAT32, {n}, 0);
  args.column = b.tensor(PRECIS_FLOAT32, {k}, 0);
  args.step = 1;
  args.learning_rate = 1e-3f;
  args.decay_rate = -0.8f;
  args.epsilon1 = 1e-30f;
  args.epsilon2 = 1e-3f;
  args.clip_threshold = 1;
  args.gradient_scale = 1;
  const double before = b.row(p, n - 1).back(), last = b.row(g, n - 1).back();
  // The gradient is read four times, the parameter twice, and the parameter is written.
  b.row(
      "adafactor " + shape_text(n, k), {28.0 * static_cast<double>(n * k), 0},
      [&] { return adafactor_cuda(b.context(), args); },
      [&] {
        // The first step goes against the gradient.
        const double change = b.row(p, n - 1).back() - before;
        b.expect(last > 0 ? change < 0 : change > 0, "the direction of adafactor");
        b.expect_finite(p, "a parameter is not finite");
      });
}

}  // namespace precis
