#include "bench.h"

namespace precis {

PRECIS_BENCH(matmul_pack) {
  const int64_t n = b.size(4096, 20), k = b.size(768, 72);
  const precis_tensor values = b.tensor(PRECIS_FLOAT32, {n, k});
  const precis_packed_matrix w = b.pack(values);
  precis_matmul_pack_args args = {};
  args.weights[0] = values;
  args.weight_count = 1;
  args.dtype = PRECIS_BFLOAT16;
  args.packed = const_cast<void*>(static_cast<const void*>(w.data));
  args.packed_bytes = w.bytes;
  b.row(
      "matmul_pack " + shape_text(n, k), {static_cast<double>(n * k) * 6, 0},
      [&] { return matmul_pack_cuda(b.context(), args); },
      [&] {
        b.expect_near(b.row(w, n - 1).back(), b.row(values, n - 1).back(), kBfloat16,
                      "matmul_pack");
      });
}

}  // namespace precis
