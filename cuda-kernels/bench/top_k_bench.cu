#include <algorithm>

#include "bench.h"

namespace precis {

PRECIS_BENCH(top_k) {
  const int64_t v = b.size(32128, 500), k = 8;
  for (int64_t full : {4, 128}) {
    const int64_t m = b.size(full, 2);
    const precis_tensor x = b.tensor(PRECIS_FLOAT32, {m, v});
    const precis_tensor values = b.tensor(PRECIS_FLOAT32, {m, k});
    precis_tensor indices = b.tensor(PRECIS_FLOAT32, {m, k});
    indices.dtype = PRECIS_INT32;
    b.row(
        "top_k, " + std::to_string(k) + " of " + shape_text(m, v),
        {static_cast<double>(m * v) * 4, 0},
        [&] {
          return top_k_cuda(b.context(), {x, values, indices});
        },
        [&] {
          std::vector<double> want = b.row(x, m - 1);
          std::partial_sort(want.begin(), want.begin() + k, want.end(), std::greater<double>());
          want.resize(static_cast<size_t>(k));
          b.expect(b.row(values, m - 1) == want, "top_k");
        });
    b.release();
  }
}

}  // namespace precis
