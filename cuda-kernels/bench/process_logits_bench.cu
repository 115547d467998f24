#include "bench.h"

namespace precis {

PRECIS_BENCH(process_logits) {
  const int64_t m = b.size(128, 2), v = b.size(32128, 500), length = b.size(200, 20);
  precis_process_logits_args args = {};
  args.scores = b.tensor(PRECIS_FLOAT32, {m, v});
  std::vector<int32_t> history;
  for (int64_t i = 0; i < m * length; i++) history.push_back(static_cast<int32_t>(i * 7919 % v));
  args.rules.history = b.array(history);
  args.rules.history_lengths =
      b.array(std::vector<int32_t>(static_cast<size_t>(m), static_cast<int32_t>(length)));
  args.rules.history_stride = length;
  args.rules.repetition_penalty = 1.0001f;  // small, so that repeated runs stay finite
  const std::vector<double> before = b.row(args.scores, m - 1);
  b.row(
      "process_logits " + std::to_string(m) + " rows, history of " + std::to_string(length),
      {static_cast<double>(m * length) * 12, 0},
      [&] { return process_logits_cuda(b.context(), args); },
      [&] {
        const auto token = static_cast<size_t>(history.back());
        const double s = before[token];
        b.expect_near(b.row(args.scores, m - 1)[token], s < 0 ? s * 1.0001 : s / 1.0001, 1e-6,
                      "a repetition penalty");
      });
}

}  // namespace precis
