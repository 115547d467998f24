#include "bench.h"

namespace precis {

PRECIS_BENCH(transpose_packed) {
  const int64_t n = b.size(4096, 20), k = b.size(768, 72);
  const precis_tensor values = b.tensor(PRECIS_FLOAT32, {n, k});
  const precis_packed_matrix w = b.pack(values), transposed = b.pack(values, true);
  b.row(
      "transpose_packed " + shape_text(n, k), {static_cast<double>(n * k) * 4, 0},
      [&] {
        return transpose_packed_cuda(b.context(), {w, transposed});
      },
      [&] {
        b.expect(b.row(transposed, k - 1).back() == b.row(w, n - 1).back(), "transpose_packed");
      });
}

}  // namespace precis
