// add_bias and bias_gradient.

#include "device_test.h"
#include "ops/add_bias.h"
#include "ops/bias_gradient.h"

using namespace precis;

namespace {

void add_bias(TestDevice& device, int32_t dtype, int64_t m, int64_t n, Random& random) {
  GuardedTensor y(dtype, {m, n}, n % 8, n % 8), want(dtype, {m, n});
  GuardedTensor bias(PRECIS_FLOAT32, {n}, 0, n % 5);
  bias.fill_normal(random);
  y.fill_normal(random);
  for (int64_t i = 0; i < m * n; i++) store_element(want, i / n, i % n, y.at(i / n, i % n));
  OnDevice y_(y), bias_(bias);
  EXPECT_RUN(device, add_bias_cuda(device.context(), {y_, bias_}));
  y_.download();
  add_bias_ref({want, bias});
  expect_close(y, want, rounding(dtype), 2e-7, device.name());
}

void bias_gradient(TestDevice& device, int32_t dtype, int64_t m, int64_t n, Random& random) {
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
  TestDevice device;
  if (!device.open()) return device.skip();
  while (device.next_order(3)) {
    Random random(22);
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (int64_t n : {0, 1, 7, 63, 64, 259}) {
        for (int64_t m : {0, 1, 17, 130}) {
          add_bias(device, dtype, m, n, random);
          bias_gradient(device, dtype, m, n, random);
        }
      }
      bias_gradient(device, dtype, 33000, 3, random);  // more rows than 512 stripes of 64
    }
  }
  return test_result();
}
