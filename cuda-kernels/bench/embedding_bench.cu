#include "bench.h"

namespace precis {

PRECIS_BENCH(embedding) {
  const int64_t m = b.size(8192, 5), d = b.size(768, 72);
  const std::string shape = " " + shape_text(m, d);
  const double n = static_cast<double>(m * d);
  const precis_tensor y = b.tensor(PRECIS_FLOAT32, {m, d});
  const int64_t vocabulary = b.size(32128, 50);
  const precis_tensor table = b.tensor(PRECIS_BFLOAT16, {vocabulary, d});
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < m; i++) ids.push_back(static_cast<int32_t>(i * 7919 % vocabulary));
  const precis_tensor id_tensor = b.ids(ids);
  b.row(
      "embedding" + shape, {n * 6, 0},
      [&] {
        return embedding_cuda(b.context(), {table, id_tensor, y, {}});
      },
      [&] {
        b.expect(b.row(y, m - 1) == b.row(table, ids[static_cast<size_t>(m - 1)]), "embedding");
      });
}

}  // namespace precis
