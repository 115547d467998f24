#include "bench.h"

namespace precis {

PRECIS_BENCH(sum_of_squares) {
  const int64_t p = b.size(10'000'000, 1000);
  const std::string count = " of " + std::to_string(p);
  const precis_tensor w = b.tensor(PRECIS_FLOAT32, {p});
  const std::vector<double> values = b.row(w, 0);
  double* sum = b.array<double>({0});
  b.row(
      "sum_of_squares" + count, {4.0 * static_cast<double>(p), 0},
      [&] {
        return sum_of_squares_cuda(b.context(), {w, sum});
      },
      [&] {
        double got = 0;
        check(cudaMemcpy(&got, sum, sizeof got, cudaMemcpyDeviceToHost), "cudaMemcpy");
        b.expect_near(got, Bench::dot(values, values), 1e-6, "sum_of_squares");
      });
}

}  // namespace precis
