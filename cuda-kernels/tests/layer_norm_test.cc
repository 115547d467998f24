#include "ops/layer_norm.h"

#include "device_test.h"

using namespace precis;

int main() {
  return run_test(4, [](TestDevice& device) {
    Random random(20);
    for (int64_t width : {1, 8, 17, 200, 264, 1024, 1100}) {
      for (int64_t m : {0, 1, 5, 67}) {
        if (m > 5 && width > 264) continue;
        for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          const int64_t gap = width == 264 ? 0 : 3;
          GuardedTensor x(PRECIS_FLOAT32, {m, width}, gap), weight(PRECIS_FLOAT32, {width}, 0, gap);
          GuardedTensor bias(PRECIS_FLOAT32, {width}, 0, gap + 1);
          GuardedTensor y(dtype, {m, width}, gap, gap), want(dtype, {m, width});
          x.fill_normal(random);
          weight.fill_normal(random);
          bias.fill_normal(random);
          OnDevice x_(x), weight_(weight), bias_(bias), y_(y);
          EXPECT_RUN(device, layer_norm_cuda(device.context(), {x_, weight_, bias_, y_, 1e-5f, 0}));
          y_.download();
          layer_norm_ref({x, weight, bias, want, 1e-5f, 0});
          expect_close(y, want, rounding(dtype), 2e-6, device.name());
        }
      }
    }
    // A mean far from zero: E[x^2] - mean^2 would lose all precision.
    for (int64_t width : {769, 2000}) {
      GuardedTensor x(PRECIS_FLOAT32, {2, width}), weight(PRECIS_FLOAT32, {width});
      GuardedTensor bias(PRECIS_FLOAT32, {width}), y(PRECIS_FLOAT32, {2, width});
      GuardedTensor want(PRECIS_FLOAT32, {2, width});
      for (int64_t i = 0; i < 2 * width; i++) x.data<float>()[i] = 8192.0f + random.below(5);
      weight.fill(1);
      bias.fill(0);
      OnDevice x_(x), weight_(weight), bias_(bias), y_(y);
      EXPECT_RUN(device, layer_norm_cuda(device.context(), {x_, weight_, bias_, y_, 0, 0}));
      y_.download();
      layer_norm_ref({x, weight, bias, want, 0, 0});
      expect_close(y, want, 0, 2e-3, device.name());
    }
  });
}
