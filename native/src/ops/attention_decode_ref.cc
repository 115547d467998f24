#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/attention_decode.h"
#include "ops/relative_position.h"

namespace precis {

void attention_decode_ref(const precis_attention_decode_args& a) {
  const int64_t width = columns(a.q), head_dim = width / a.heads;
  for (int64_t r = 0; r < rows(a.q) && a.k_new.data != nullptr; r++) {
    const int64_t to = cache_row(a, r, a.lengths[r] - 1);
    for (int64_t d = 0; d < width; d++) {
      store_element(a.k_cache, to, d, load_element(a.k_new, r, d));
      store_element(a.v_cache, to, d, load_element(a.v_new, r, d));
    }
  }
  for (int64_t r = 0; r < rows(a.q); r++) {
    const int64_t length = a.lengths[r];
    for (int64_t h = 0; h < a.heads; h++) {
      std::vector<double> w(length), out(head_dim, 0.0);
      for (int64_t p = 0; p < length; p++) {
        double dot = 0;
        for (int64_t d = h * head_dim; d < (h + 1) * head_dim; d++) {
          dot += static_cast<double>(load_element(a.q, r, d)) *
                 static_cast<double>(load_element(a.k_cache, cache_row(a, r, p), d));
        }
        w[p] = dot * a.scale;
        if (a.bias.data != nullptr) {
          w[p] += row<const float>(
              a.bias,
              relative_position_bucket(p - (length - 1), static_cast<int32_t>(a.bias.dims[0]),
                                       a.max_distance, false))[h];
        }
      }
      const double largest = *std::max_element(w.begin(), w.end());
      double sum = 0;
      for (double& x : w) sum += x = std::exp(x - largest);
      for (int64_t p = 0; p < length; p++) {
        for (int64_t d = 0; d < head_dim; d++) {
          out[d] += w[p] / sum * load_element(a.v_cache, cache_row(a, r, p), h * head_dim + d);
        }
      }
      for (int64_t d = 0; d < head_dim; d++) store_element(a.out, r, h * head_dim + d, out[d]);
    }
  }
}

}  // namespace precis
