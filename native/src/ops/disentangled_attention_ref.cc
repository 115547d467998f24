#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/disentangled_attention.h"

namespace precis {
namespace {

double dot(const precis_tensor& a, int64_t i, const precis_tensor& b, int64_t j, int64_t first,
           int64_t count) {
  double sum = 0;
  for (int64_t d = first; d < first + count; d++) {
    sum += static_cast<double>(load_element(a, i, d)) * static_cast<double>(load_element(b, j, d));
  }
  return sum;
}

}  // namespace

void disentangled_attention_ref(const precis_disentangled_attention_args& a) {
  const int64_t head_dim = columns(a.q) / a.heads;
  const auto row_of = [](const precis_tensor& table, int64_t distance) {
    return relative_row(distance, rows(table) / 2);
  };
  for (int32_t s = 0; s < a.sequences; s++) {
    const int64_t begin = a.offsets[s], n = a.offsets[s + 1] - begin;
    for (int64_t h = 0; h < a.heads; h++) {
      const int64_t at = h * head_dim;
      for (int64_t i = 0; i < n; i++) {
        std::vector<double> p(n), out(head_dim, 0.0);
        for (int64_t j = 0; j < n; j++) {
          p[j] = dot(a.q, begin + i, a.k, begin + j, at, head_dim);
          if (a.position_keys.data != nullptr) {
            p[j] +=
                dot(a.q, begin + i, a.position_keys, row_of(a.position_keys, i - j), at, head_dim);
          }
          if (a.position_queries.data != nullptr) {
            p[j] += dot(a.k, begin + j, a.position_queries, row_of(a.position_queries, i - j), at,
                        head_dim);
          }
          p[j] *= a.scale;
        }
        const double largest = *std::max_element(p.begin(), p.end());
        double sum = 0;
        for (double& x : p) sum += x = std::exp(x - largest);
        for (int64_t j = 0; j < n; j++) {
          for (int64_t d = 0; d < head_dim; d++) {
            out[d] += p[j] / sum * load_element(a.v, begin + j, at + d);
          }
        }
        for (int64_t d = 0; d < head_dim; d++) store_element(a.out, begin + i, at + d, out[d]);
      }
    }
  }
}

}  // namespace precis
