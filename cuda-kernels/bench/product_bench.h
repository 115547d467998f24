// The products that the benchmarks of matmul and lora_matmul have in common.
#ifndef PRECIS_CUDA_PRODUCT_BENCH_H_
#define PRECIS_CUDA_PRODUCT_BENCH_H_

#include <cmath>

#include "bench.h"

namespace precis {

// Checks a few elements of y = x w'.
inline void expect_product(Bench& b, const precis_tensor& x, const precis_packed_matrix& w,
                           const precis_tensor& y, const char* what) {
  for (int64_t row : {int64_t{0}, x.dims[0] - 1}) {
    const std::vector<double> in = b.row(x, row), got = b.row(y, row);
    for (int64_t column : {int64_t{0}, w.outputs / 2, w.outputs - 1}) {
      b.expect_near(got[static_cast<size_t>(column)], Bench::dot(in, b.row(w, column)), kBfloat16,
                    what);
    }
  }
}

struct ProductShape {
  int64_t m, n, k;
  bool quick;  // measured with --quick too
};

// The shapes of the layers of T5-base, in training and in generation.
inline std::vector<ProductShape> product_shapes(const Bench& b) {
  const std::vector<ProductShape> full = {{8192, 768, 768, true},  {8192, 2304, 768, false},
                                          {8192, 4096, 768, true}, {8192, 768, 2048, true},
                                          {2048, 768, 768, false}, {32, 768, 768, false},
                                          {1, 2304, 768, false}};
  const std::vector<ProductShape> tiny = {{65, 80, 72, true}};
  std::vector<ProductShape> shapes;
  for (const ProductShape& s : b.options().tiny ? tiny : full) {
    if (s.quick || !b.options().quick) shapes.push_back(s);
  }
  return shapes;
}

// y = x w' and its gradient dx = dy w.
struct ProductCase {
  ProductCase(Bench& b, const ProductShape& s)
      : x(b.tensor(PRECIS_BFLOAT16, {s.m, s.k})),
        y(b.tensor(PRECIS_BFLOAT16, {s.m, s.n})),
        dy(b.tensor(PRECIS_BFLOAT16, {s.m, s.n})),
        dx(b.tensor(PRECIS_BFLOAT16, {s.m, s.k})),
        name(shape_text(s.m, s.n) + "x" + std::to_string(s.k)),
        work{2.0 * static_cast<double>(s.m * s.k + s.n * s.k + s.m * s.n),
             2.0 * static_cast<double>(s.m) * static_cast<double>(s.n * s.k)} {
    const precis_tensor values = b.tensor(PRECIS_FLOAT32, {s.n, s.k}, 0.03f);
    w = b.pack(values);
    w_transposed = b.pack(values, true);
  }
  cudaError_t forward(Bench& b) const { return matmul_cuda(b.context(), {x, w, y, 1, 0, 0, 0}); }
  cudaError_t backward(Bench& b) const {
    return matmul_cuda(b.context(), {dy, w_transposed, dx, 1, 0, 0, 0});
  }

  precis_tensor x, y, dy, dx;
  precis_packed_matrix w, w_transposed;
  std::string name;
  Work work;
};

}  // namespace precis

#endif  // PRECIS_CUDA_PRODUCT_BENCH_H_
