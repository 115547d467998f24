#include "ops/add_bias.h"

#include "device_test.h"

using namespace precis;

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(22);
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (int64_t n : {0, 1, 7, 63, 64, 259}) {
        for (int64_t m : {0, 1, 17, 130}) {
          GuardedTensor y(dtype, {m, n}, n % 8, n % 8), want(dtype, {m, n});
          GuardedTensor bias(PRECIS_FLOAT32, {n}, 0, n % 5);
          bias.fill_normal(random);
          y.fill_normal(random);
          copy_elements(y, want);
          OnDevice y_(y), bias_(bias);
          EXPECT_RUN(device, add_bias_cuda(device.context(), {y_, bias_}));
          y_.download();
          add_bias_ref({want, bias});
          expect_close(y, want, rounding(dtype), 2e-7, device.name());
        }
      }
    }
  });
}
