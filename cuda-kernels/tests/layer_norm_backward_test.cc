#include "ops/layer_norm_backward.h"

#include "device_test.h"
#include "norm_cases.h"

using namespace precis;

int main() {
  return run_test(4, [](TestDevice& device) {
    Random random(21);
    for (int64_t width : {1, 8, 17, 200, 264}) {
      for (int64_t m : {0, 1, 5, 67, 130}) {
        if (m > 5 && width == 264) continue;  // the reference is slow
        for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          const int32_t accumulate = (m + width + dtype) % 2;
          const int64_t gap = width == 264 ? 0 : 3;
          GuardedTensor x(PRECIS_FLOAT32, {m, width}, gap), weight(PRECIS_FLOAT32, {width}, 0, gap);
          GuardedTensor dy(dtype, {m, width}, gap), dx(PRECIS_FLOAT32, {m, width}, gap);
          GuardedTensor dweight(PRECIS_FLOAT32, {width}, 0, gap), dbias(PRECIS_FLOAT32, {width});
          GuardedTensor want(PRECIS_FLOAT32, {m, width});
          GuardedTensor want_weight(kReferenceFloat64, {width});
          GuardedTensor want_bias(kReferenceFloat64, {width});
          x.fill_normal(random);
          weight.fill_normal(random);
          dy.fill_normal(random);
          want.fill(2);
          want_weight.fill(3);
          want_bias.fill(4);
          layer_norm_backward_ref({x, weight, dy, want, want_weight, want_bias, 1e-2f, accumulate});
          for (int present : {0, 1, 2, 3}) {
            if (present < 3 && m != 5) continue;
            dx.fill(2);
            dweight.fill(3);
            dbias.fill(4);
            OnDevice x_(x), weight_(weight), dy_(dy), dx_(dx), dweight_(dweight), dbias_(dbias);
            precis_layer_norm_backward_args args = {x_,       weight_, dy_,   dx_,
                                                    dweight_, dbias_,  1e-2f, accumulate};
            if (!(present & 1)) args.dweight = {};
            if (!(present & 2)) args.dbias = {};
            EXPECT_RUN(device, layer_norm_backward_cuda(device.context(), args));
            dx_.download();
            dweight_.download();
            dbias_.download();
            expect_close(dx, want, 4e-6, 1e-5, device.name());
            expect_sum(present & 1, 3, dweight, want_weight, m, device.name());
            expect_sum(present & 2, 4, dbias, want_bias, m, device.name());
          }
        }
      }
    }
  });
}
