#include <algorithm>
#include <numeric>
#include <vector>

#include "ops/top_k.h"

namespace precis {

void top_k_ref(const precis_top_k_args& a) {
  for (int64_t m = 0; m < rows(a.x); m++) {
    const float* x = row<const float>(a.x, m);
    std::vector<int32_t> order(columns(a.x));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [x](int32_t i, int32_t j) { return x[i] > x[j]; });
    for (int64_t k = 0; k < columns(a.values); k++) {
      row<int32_t>(a.indices, m)[k] = order[k];
      row<float>(a.values, m)[k] = x[order[k]];
    }
  }
}

}  // namespace precis
