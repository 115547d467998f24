#include "ops/bias_gradient.h"

#include "device_test.h"

using namespace precis;

namespace {

void same_as_reference(TestDevice& device, int32_t dtype, int64_t m, int64_t n, Random& random) {
  GuardedTensor dy(dtype, {m, n}, n % 8, n % 8), dbias(PRECIS_FLOAT32, {n}, 0, n % 5);
  GuardedTensor want(kReferenceFloat64, {n});
  dy.fill_normal(random);
  dbias.fill(2);
  want.fill(2);
  OnDevice dy_(dy), dbias_(dbias);
  EXPECT_RUN(device, bias_gradient_cuda(device.context(), {dy_, dbias_}));
  dbias_.download();
  bias_gradient_ref({dy, want});
  expect_close(dbias, want, 2e-6, 1e-6 * (1 + std::sqrt(m)), device.name());
}

}  // namespace

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(22);
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (int64_t n : {0, 1, 7, 63, 64, 259}) {
        for (int64_t m : {0, 1, 17, 130}) same_as_reference(device, dtype, m, n, random);
      }
      same_as_reference(device, dtype, 33000, 3, random);  // more rows than 512 stripes of 64
    }
  });
}
