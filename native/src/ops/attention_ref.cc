#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/attention.h"
#include "ops/relative_position.h"
#include "random/dropout_mask.h"

namespace precis {

void attention_ref(const precis_attention_args& a) {
  const int64_t head_dim = columns(a.q) / a.heads;
  for (int32_t s = 0; s < a.sequences; s++) {
    const int64_t q0 = a.query_offsets[s], k0 = a.key_offsets[s];
    const int64_t queries = a.query_offsets[s + 1] - q0, keys = a.key_offsets[s + 1] - k0;
    for (int64_t h = 0; h < a.heads; h++) {
      for (int64_t i = 0; i < queries; i++) {
        const int64_t visible = a.causal ? std::min(i + 1, keys) : keys;
        std::vector<double> p(visible), out(head_dim, 0.0);
        for (int64_t j = 0; j < visible; j++) {
          double dot = 0;
          for (int64_t d = h * head_dim; d < (h + 1) * head_dim; d++) {
            dot += static_cast<double>(load_element(a.q, q0 + i, d)) *
                   static_cast<double>(load_element(a.k, k0 + j, d));
          }
          p[j] = dot * a.scale;
          if (a.bias.data != nullptr) {
            p[j] += row<const float>(
                a.bias, relative_position_bucket(j - i, static_cast<int32_t>(a.bias.dims[0]),
                                                 a.max_distance, a.bidirectional != 0))[h];
          }
        }
        const double largest = *std::max_element(p.begin(), p.end());
        double sum = 0;
        for (double& x : p) sum += x = std::exp(x - largest);
        if (a.log_sum_exp.data != nullptr) {
          store_element(a.log_sum_exp, q0 + i, h, largest + std::log(sum));
        }
        for (int64_t j = 0; j < visible; j++) {
          if (a.dropout > 0) {
            const DropoutRow of =
                dropout_row(static_cast<const int64_t*>(a.dropout_rows.data), q0 + i, a.offset);
            const uint64_t index = attention_dropout_index(of.row, a.heads, h, j);
            const bool kept = dropout_keeps(a.seed, of.offset, index, dropout_threshold(a.dropout));
            p[j] *= kept ? 1 / (1 - static_cast<double>(a.dropout)) : 0;
          }
          for (int64_t d = 0; d < head_dim; d++) {
            out[d] += p[j] / sum * load_element(a.v, k0 + j, h * head_dim + d);
          }
        }
        for (int64_t d = 0; d < head_dim; d++) {
          store_element(a.out, q0 + i, h * head_dim + d, out[d]);
        }
      }
    }
  }
}

}  // namespace precis
