// The losses over the vocabulary: one product over all of w for the logits and one for each
// gradient; w is read for each of them, and dw is read and written.
#ifndef PRECIS_CUDA_LOGIT_BENCH_H_
#define PRECIS_CUDA_LOGIT_BENCH_H_

#include <algorithm>
#include <cmath>

#include "product_bench.h"

namespace precis {

struct LogitCase {
  LogitCase(Bench& b, int64_t full_rows)
      : m(b.size(full_rows, 9)), v(b.size(32128, 300)), d(b.size(768, 72)) {
    const precis_tensor values = b.tensor(PRECIS_FLOAT32, {v, d}, 0.03f);
    w = b.pack(values);
    w_transposed = b.pack(values, true);
    x = b.tensor(PRECIS_BFLOAT16, {m, d});
    dx = b.tensor(PRECIS_FLOAT32, {m, d});
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < m; i++) ids.push_back(static_cast<int32_t>(i * 7919 % v));
    labels = b.ids(ids);
    product = 2.0 * static_cast<double>(m) * static_cast<double>(v * d);
    weight_bytes = 2.0 * static_cast<double>(v * d);
    x_bytes = 2.0 * static_cast<double>(m * d);
    dx_bytes = 2 * x_bytes;
    shape = shape_text(m, v) + "x" + std::to_string(d);
    // The last row's log-probability and entropy.
    const std::vector<double> in = b.row(x, m - 1);
    std::vector<double> logits;
    for (int64_t i = 0; i < v; i++) logits.push_back(Bench::dot(in, b.row(w, i)));
    double sum = 0, mean = 0;
    for (double logit : logits) sum += std::exp(logit);
    for (double logit : logits) mean += std::exp(logit) / sum * logit;
    log_probability = logits[static_cast<size_t>(ids.back())] - std::log(sum);
    entropy = std::log(sum) - mean;
    double all = 0;
    for (double logit : logits) all += logit / static_cast<double>(v);
    smoothed_loss = 0.9 * -log_probability + 0.1 * (std::log(sum) - all);
  }
  // Frees the scratch memory, so that print_scratch tells that of the next operation alone.
  static void reset_scratch(Bench& b) {
    check(cudaFree(b.context().scratch.memory), "cudaFree");
    b.context().scratch = {};
  }
  // A float32 vector with an element for each row.
  precis_tensor column(Bench& b) const { return b.tensor(PRECIS_FLOAT32, {m}, 0.1f); }
  template <class Args>
  void put(Args& args) const {
    args.x = x;
    args.w = w;
    args.scale = 1;
  }
  // Prints the scratch memory that the operation took, against three float32 tensors of logits that
  // a loss in eager mode has at once: the logits, their log-softmax and their gradient.
  void print_scratch(Bench& b, const char* name) const {
    const double mine = static_cast<double>(b.context().scratch.bytes);
    const double eager = 12.0 * static_cast<double>(m * v);
    std::printf("%46s scratch memory of %s %.1f MB; eager mode's %.0f MB are %.0f times that", "",
                name, mine / 1e6, eager / 1e6, eager / std::max(mine, 1.0));
    std::printf("%s\n", m < 2048 ? "" : eager >= 50 * mine ? " (50: met)" : " (50: MISSED)");
  }

  int64_t m, v, d;
  precis_packed_matrix w, w_transposed;
  precis_tensor x, dx, labels;
  double product, weight_bytes, x_bytes, dx_bytes;
  double log_probability, entropy, smoothed_loss;  // of the last row
  std::string shape;
};

// The numbers of rows: of a decode step, and of training steps.
inline std::vector<int64_t> logit_rows_to_measure(const Bench& b) {
  return b.options().quick || b.options().tiny ? std::vector<int64_t>{2048}
                                               : std::vector<int64_t>{8, 512, 2048};
}

}  // namespace precis

#endif  // PRECIS_CUDA_LOGIT_BENCH_H_
