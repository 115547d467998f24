#include "bench.h"

namespace precis {

PRECIS_BENCH(embedding_backward) {
  const int64_t m = b.size(8192, 5), d = b.size(768, 72), vocabulary = b.size(32128, 50);
  const precis_tensor dy = b.tensor(PRECIS_BFLOAT16, {m, d});
  const precis_tensor dtable = b.tensor(PRECIS_FLOAT32, {vocabulary, d}, 0);
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < m; i++) ids.push_back(static_cast<int32_t>(i * 7919 % vocabulary));
  const precis_tensor id_tensor = b.ids(ids);
  b.row(
      "embedding_backward " + shape_text(m, d), {static_cast<double>(m * d) * 10, 0},
      [&] {
        return embedding_backward_cuda(b.context(), {id_tensor, dy, dtable});
      },
      [&] { b.expect(b.row(dtable, ids.back()) == b.row(dy, m - 1), "embedding_backward"); });
}

}  // namespace precis
