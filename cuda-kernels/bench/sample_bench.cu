#include <algorithm>

#include "bench.h"

namespace precis {

PRECIS_BENCH(sample) {
  const int64_t v = b.size(32128, 500);
  const struct {
    int64_t rows;
    double target;
  } batches[] = {{1, 8}, {32, 10}, {128, 16}};
  for (const auto& batch : batches) {
    const int64_t m = b.size(batch.rows, (batch.rows + 63) / 64);
    precis_sample_args args = {};
    args.logits = b.tensor(PRECIS_FLOAT32, {m, v}, 12);
    args.rules.repetition_penalty = 1;
    args.streams = b.array(std::vector<uint64_t>(static_cast<size_t>(m), 1));
    args.offsets = b.array(std::vector<uint64_t>(static_cast<size_t>(m), 1));
    args.tokens = b.array(std::vector<int32_t>(static_cast<size_t>(m), -1));
    args.temperature = 0.9f;
    const double bytes = static_cast<double>(m * v) * 4;
    const std::string of = " of " + std::to_string(m) + " rows of " + std::to_string(v);
    for (bool warped : {false, true}) {
      args.top_k = warped ? 50 : 0;
      args.top_p = warped ? 0.9f : 1;
      b.row((warped ? "sample, top-k and top-p," : "sample") + of, {bytes, 0, batch.target},
            [&] { return sample_cuda(b.context(), args); },
            [&] {
              std::vector<int32_t> tokens(static_cast<size_t>(m), -1);
              check(
                  cudaMemcpy(tokens.data(), args.tokens, tokens.size() * 4, cudaMemcpyDeviceToHost),
                  "cudaMemcpy");
              for (int64_t r = 0; r < m; r++) {
                const int32_t token = tokens[static_cast<size_t>(r)];
                b.expect(token >= 0 && token < v, "a sampled token is outside the vocabulary");
                if (token < 0 || token >= v || !warped || r > 3) continue;
                const std::vector<double> row = b.row(args.logits, r);
                const double own = row[static_cast<size_t>(token)];
                b.expect(
                    std::count_if(row.begin(), row.end(), [=](double x) { return x > own; }) < 50,
                    "a sampled token is not among the 50 best");
              }
            });
    }
    b.release();
  }
}

}  // namespace precis
