#include "ops/sum_of_squares.h"

#include "device_test.h"

using namespace precis;

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(15);
    for (int64_t n : {0, 1, 15, 16384, 16385, 70001}) {
      GuardedTensor x(PRECIS_FLOAT32, {n}, 0, n % 3);
      x.fill_normal(random);
      if (n > 2) x.data<float>()[n / 2] = 1e30f;  // its square exceeds float32
      OnDevice x_(x);
      DeviceArray<double> result({-1});
      EXPECT_RUN(device, sum_of_squares_cuda(device.context(), {x_, result}));
      double want = 0;
      sum_of_squares_ref({x, &want});
      const double got = result.get()[0];
      EXPECT(std::fabs(got - want) <= 1e-14 * want, "%s n %lld: %.17g, not %.17g", device.name(),
             static_cast<long long>(n), got, want);
    }
  });
}
