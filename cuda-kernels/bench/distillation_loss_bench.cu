#include "logit_bench.h"

namespace precis {

PRECIS_BENCH(distillation_loss) {
  for (int64_t rows : logit_rows_to_measure(b)) {
    const LogitCase c(b, rows);
    precis_distillation_loss_args args = {};
    c.put(args);
    args.w_transposed = c.w_transposed;
    args.labels = c.labels;
    args.teacher_x = b.tensor(PRECIS_BFLOAT16, {c.m, c.d});
    args.teacher_w = c.w;
    args.teacher_scale = 1;
    args.temperature = 1;
    args.beta = 0.5f;
    args.divergence_weight = 0.5f;
    args.label_weight = 0.5f;
    args.divergences = c.column(b);
    args.cross_entropies = c.column(b);
    args.dx = c.dx;
    const auto run = [&] { return distillation_loss_cuda(b.context(), args); };
    const auto verify = [&] {
      b.expect_near(b.row(args.cross_entropies, 0).back(), -c.log_probability, 1e-3,
                    "a cross-entropy");
      b.expect(b.row(args.divergences, 0).back() > 0, "a divergence is not positive");
      b.expect_finite(c.dx, "dx of a distillation loss is not finite");
    };
    LogitCase::reset_scratch(b);
    b.row("distillation_loss, dx " + c.shape,
          {3 * c.weight_bytes + 2 * c.x_bytes + c.dx_bytes, 3 * c.product}, run, verify);
    c.print_scratch(b, "distillation_loss");
    b.release();
  }
}

}  // namespace precis
