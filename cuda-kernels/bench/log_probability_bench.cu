#include "logit_bench.h"

namespace precis {

PRECIS_BENCH(log_probability) {
  for (int64_t rows : logit_rows_to_measure(b)) {
    const LogitCase c(b, rows);
    precis_log_probability_args args = {};
    c.put(args);
    args.labels = c.labels;
    args.log_probabilities = c.column(b);
    args.entropies = c.column(b);
    const auto run = [&] { return log_probability_cuda(b.context(), args); };
    LogitCase::reset_scratch(b);
    b.row("log_probability, entropy " + c.shape, {c.weight_bytes + c.x_bytes, c.product}, run, [&] {
      b.expect_near(b.row(args.log_probabilities, 0).back(), c.log_probability, 1e-3,
                    "a log-probability");
      b.expect_near(b.row(args.entropies, 0).back(), c.entropy, 1e-3, "an entropy");
    });
    c.print_scratch(b, "log_probability");
    args.reference_x = b.tensor(PRECIS_BFLOAT16, {c.m, c.d});
    args.reference_w = c.w;
    args.divergences = c.column(b);
    b.row("log_probability, divergence " + c.shape, {c.weight_bytes + 2 * c.x_bytes, 2 * c.product},
          run, [&] {
            b.expect_near(b.row(args.log_probabilities, 0).back(), c.log_probability, 1e-3,
                          "a log-probability");
            b.expect(b.row(args.divergences, 0).back() > 0, "a divergence is not positive");
          });
    b.release();
  }
}

}  // namespace precis
