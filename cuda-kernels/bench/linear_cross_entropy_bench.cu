#include "logit_bench.h"

namespace precis {

PRECIS_BENCH(linear_cross_entropy) {
  for (int64_t rows : logit_rows_to_measure(b)) {
    const LogitCase c(b, rows);
    precis_linear_cross_entropy_args args = {};
    c.put(args);
    args.w_transposed = c.w_transposed;
    args.labels = c.labels;
    args.losses = c.column(b);
    args.grad_scale = 1;
    args.label_smoothing = 0.1f;
    args.dx = c.dx;
    const auto run = [&] { return linear_cross_entropy_cuda(b.context(), args); };
    const auto verify = [&] {
      b.expect_near(b.row(args.losses, 0).back(), c.smoothed_loss, 1e-3, "a cross-entropy");
      b.expect_finite(c.dx, "dx of a cross-entropy is not finite");
    };
    LogitCase::reset_scratch(b);
    b.row("linear_cross_entropy, dx " + c.shape,
          {2 * c.weight_bytes + c.x_bytes + c.dx_bytes, 2 * c.product}, run, verify);
    c.print_scratch(b, "linear_cross_entropy");
    args.dw = b.tensor(PRECIS_FLOAT32, {c.v, c.d});
    b.row("linear_cross_entropy, dx, dw " + c.shape,
          {6 * c.weight_bytes + c.x_bytes + c.dx_bytes, 3 * c.product}, run, verify);
    b.release();
  }
}

}  // namespace precis
