#include "ops/rms_norm.h"

#include "device_test.h"

using namespace precis;

int main() {
  return run_test(4, [](TestDevice& device) {
    Random random(1);
    for (int64_t width : {1, 3, 8, 17, 64, 257, 768, 1024, 1031, 2056}) {
      for (int64_t m : {1, 5, 18}) {
        for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          const int64_t offset = width % 3;  // rows are aligned where it is 0
          GuardedTensor x(PRECIS_FLOAT32, {m, width}, offset, offset);
          GuardedTensor weight(PRECIS_FLOAT32, {width}, 0, offset);
          GuardedTensor y(dtype, {m, width}, offset, offset), want(dtype, {m, width});
          x.fill_normal(random);
          weight.fill_normal(random);
          OnDevice dx(x), dweight(weight), dy(y);
          precis_rms_norm_args args = {dx, dweight, dy, 1e-6f, 0};
          EXPECT_RUN(device, rms_norm_cuda(device.context(), args));
          dy.download();
          args = {x, weight, want, 1e-6f, 0};
          rms_norm_ref(args);
          expect_close(y, want, rounding(dtype), 1e-7, device.name());
        }
      }
    }
  });
}
