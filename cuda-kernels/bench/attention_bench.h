// The verification that the benchmarks of attention and attention_decode have in common.
#ifndef PRECIS_CUDA_ATTENTION_BENCH_H_
#define PRECIS_CUDA_ATTENTION_BENCH_H_

#include <algorithm>
#include <cmath>

#include "bench.h"

namespace precis {

// Checks one query's attention, in a head of 64 columns, with plain loops. bias(i) is added to key
// i's score.
inline void expect_attention(Bench& b, const precis_tensor& q, const precis_tensor& k,
                             const precis_tensor& v, const precis_tensor& out, int64_t query,
                             int64_t first_key, int64_t keys, int64_t head,
                             const std::function<double(int64_t)>& bias) {
  constexpr int64_t kHead = 64;
  const int64_t inner = q.dims[1], begin = head * kHead;
  const auto part = [&](const precis_tensor& t, int64_t row) {
    const std::vector<double> whole = b.row(t, row);
    return std::vector<double>(whole.begin() + begin, whole.begin() + begin + kHead);
  };
  const std::vector<double> own = part(q, query), got = part(out, query);
  const std::vector<double> all_k = b.rows(k.data, k.dtype, inner, first_key, inner, keys);
  const std::vector<double> all_v = b.rows(v.data, v.dtype, inner, first_key, inner, keys);
  std::vector<double> scores;
  double top = -1e30, sum = 0, want = 0;
  for (int64_t i = 0; i < keys; i++) {
    double score = bias(i);
    for (int64_t c = 0; c < kHead; c++) {
      score += own[static_cast<size_t>(c)] * all_k[static_cast<size_t>(i * inner + begin + c)];
    }
    scores.push_back(score);
    top = std::max(top, score);
  }
  for (int64_t i = 0; i < keys; i++) {
    const double weight = std::exp(scores[static_cast<size_t>(i)] - top);
    sum += weight;
    want += weight * all_v[static_cast<size_t>(i * inner + begin + 5)];
  }
  b.expect_near(got[5], want / sum, kBfloat16, "attention");
}

}  // namespace precis

#endif  // PRECIS_CUDA_ATTENTION_BENCH_H_
