#include "logit_bench.h"

namespace precis {

PRECIS_BENCH(ppo_loss) {
  for (int64_t rows : logit_rows_to_measure(b)) {
    const LogitCase c(b, rows);
    const precis_tensor y = b.tensor(PRECIS_BFLOAT16, {c.m, c.v});
    b.context().cublaslt = b.cublaslt();
    const double plain =
        b.row((b.cublaslt() != nullptr ? "cuBLASLt " : "matmul ") + c.shape,
              {c.weight_bytes + c.x_bytes + 2.0 * static_cast<double>(c.m * c.v), c.product},
              [&] {
                return matmul_cuda(b.context(), {c.x, c.w, y, 1, 0, 0, 0});
              },
              [&] { expect_product(b, c.x, c.w, y, "matmul"); });
    b.context().cublaslt = nullptr;
    // The time of eager mode can only be measured in PyTorch. Its three products and eight passes
    // over float32 logits take at least this long.
    const double eager = 3 * plain + 8 * 4e-3 * static_cast<double>(c.m * c.v) / b.bandwidth();

    precis_ppo_loss_args args = {};
    c.put(args);
    args.w_transposed = c.w_transposed;
    args.actions = c.labels;
    args.weights = c.column(b);
    args.old_log_probabilities = c.column(b);
    args.advantages = c.column(b);
    args.reference_log_probabilities = c.column(b);
    args.values = c.column(b);
    args.old_values = args.returns = c.column(b);
    args.log_probabilities = c.column(b);
    args.entropies = c.column(b);
    args.policy_losses = c.column(b);
    args.dx = c.dx;
    args.clip_range_low = args.clip_range_high = args.clip_range_value = 0.2f;
    args.entropy_coefficient = args.kl_coefficient = 0.01f;
    LogitCase::reset_scratch(b);
    const double us = b.row(
        "ppo_loss, dx " + c.shape,
        {2 * c.weight_bytes + c.x_bytes + c.dx_bytes, 2 * c.product, c.m < 2048 ? 0 : eager / 1.8},
        [&] { return ppo_loss_cuda(b.context(), args); },
        [&] {
          b.expect_near(b.row(args.log_probabilities, 0).back(), c.log_probability, 1e-3,
                        "a log-probability");
          b.expect_near(b.row(args.entropies, 0).back(), c.entropy, 1e-3, "an entropy");
          b.expect_finite(c.dx, "dx of the PPO loss is not finite");
        });
    std::printf("%46s products and passes of eager mode take at least %.0f us, %.2fx (1.8)\n", "",
                eager, us > 0 ? eager / us : 0);
    c.print_scratch(b, "ppo_loss");
    b.release();
  }
}

}  // namespace precis
