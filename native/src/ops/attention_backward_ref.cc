#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/attention_backward.h"
#include "ops/relative_position.h"
#include "random/dropout_mask.h"

namespace precis {

void attention_backward_ref(const precis_attention_backward_args& b) {
  const precis_attention_args& a = b.forward;
  const int64_t width = columns(a.q), head_dim = width / a.heads;
  const int32_t buckets = b.dbias.data != nullptr ? static_cast<int32_t>(b.dbias.dims[0]) : 0;
  std::vector<double> dq(rows(a.q) * width), dk(rows(a.k) * width), dv(rows(a.k) * width);
  std::vector<double> dbias(buckets * a.heads);
  for (int32_t s = 0; s < a.sequences; s++) {
    const int64_t q0 = a.query_offsets[s], k0 = a.key_offsets[s];
    const int64_t queries = a.query_offsets[s + 1] - q0, keys = a.key_offsets[s + 1] - k0;
    for (int64_t h = 0; h < a.heads; h++) {
      auto dot = [&](const precis_tensor& x, int64_t r, const precis_tensor& y, int64_t c) {
        double sum = 0;
        for (int64_t d = h * head_dim; d < (h + 1) * head_dim; d++) {
          sum += static_cast<double>(load_element(x, r, d)) *
                 static_cast<double>(load_element(y, c, d));
        }
        return sum;
      };
      auto add = [&](std::vector<double>& to, int64_t r, double factor, const precis_tensor& x,
                     int64_t from) {
        for (int64_t d = h * head_dim; d < (h + 1) * head_dim; d++) {
          to[r * width + d] += factor * static_cast<double>(load_element(x, from, d));
        }
      };
      for (int64_t i = 0; i < queries; i++) {
        const double mean = dot(b.dout, q0 + i, a.out, q0 + i);
        const int64_t visible = a.causal ? std::min(i + 1, keys) : keys;
        for (int64_t j = 0; j < visible; j++) {
          double score = a.scale * dot(a.q, q0 + i, a.k, k0 + j);
          if (a.bias.data != nullptr) {
            score += row<const float>(
                a.bias, relative_position_bucket(j - i, static_cast<int32_t>(a.bias.dims[0]),
                                                 a.max_distance, a.bidirectional != 0))[h];
          }
          const double p =
              std::exp(score - static_cast<double>(load_element(a.log_sum_exp, q0 + i, h)));
          double z = 1;
          if (a.dropout > 0) {
            const DropoutRow of =
                dropout_row(static_cast<const int64_t*>(a.dropout_rows.data), q0 + i, a.offset);
            const uint64_t index = attention_dropout_index(of.row, a.heads, h, j);
            const bool kept = dropout_keeps(a.seed, of.offset, index, dropout_threshold(a.dropout));
            z = kept ? 1 / (1 - static_cast<double>(a.dropout)) : 0;
          }
          const double ds = p * (z * dot(b.dout, q0 + i, a.v, k0 + j) - mean);
          add(dv, k0 + j, z * p, b.dout, q0 + i);
          add(dq, q0 + i, ds * a.scale, a.k, k0 + j);
          add(dk, k0 + j, ds * a.scale, a.q, q0 + i);
          if (buckets > 0) {
            dbias[relative_position_bucket(j - i, buckets, a.max_distance, a.bidirectional != 0) *
                      a.heads +
                  h] += ds;
          }
        }
      }
    }
  }
  auto store = [&](const precis_tensor& t, const std::vector<double>& from) {
    for (int64_t r = 0; r < rows(t); r++) {
      for (int64_t c = 0; c < columns(t); c++) store_element(t, r, c, from[r * columns(t) + c]);
    }
  };
  store(b.dq, dq);
  store(b.dk, dk);
  store(b.dv, dv);
  for (int32_t bucket = 0; bucket < buckets; bucket++) {
    for (int64_t h = 0; h < a.heads; h++) {
      row<float>(b.dbias, bucket)[h] += static_cast<float>(dbias[bucket * a.heads + h]);
    }
  }
}

}  // namespace precis
