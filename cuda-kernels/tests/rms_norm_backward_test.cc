#include "ops/rms_norm_backward.h"

#include "device_test.h"

using namespace precis;

int main() {
  return run_test(4, [](TestDevice& device) {
    Random random(12);
    for (int64_t width : {1, 8, 17, 200, 264}) {
      for (int64_t m : {0, 1, 5, 67, 130}) {
        for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          for (int32_t accumulate : {0, 1}) {
            if (m > 5 && width == 264) continue;  // the reference is slow
            const int64_t gap = width == 264 ? 0 : 3;
            GuardedTensor x(PRECIS_FLOAT32, {m, width}, gap),
                weight(PRECIS_FLOAT32, {width}, 0, gap);
            GuardedTensor dy(dtype, {m, width}, gap), dx(PRECIS_FLOAT32, {m, width}, gap);
            GuardedTensor dweight(PRECIS_FLOAT32, {width}, 0, gap);
            GuardedTensor want(PRECIS_FLOAT32, {m, width}), want_weight(PRECIS_FLOAT32, {width});
            x.fill_normal(random);
            weight.fill_normal(random);
            dy.fill_normal(random);
            want.fill(2);
            dx.fill(2);
            want_weight.fill(3);
            dweight.fill(3);
            rms_norm_backward_ref({x, weight, dy, want, want_weight, 1e-6f, accumulate});
            OnDevice x_(x), weight_(weight), dy_(dy), dx_(dx), dweight_(dweight);
            for (bool with_weight : {false, true}) {
              precis_rms_norm_backward_args args = {x_,       weight_, dy_,       dx_,
                                                    dweight_, 1e-6f,   accumulate};
              if (!with_weight) args.dweight.data = nullptr;
              dx_.upload();
              EXPECT_RUN(device, rms_norm_backward_cuda(device.context(), args));
              dweight_.download();
              if (!with_weight) EXPECT(dweight.at(0, 0) == 3, "%s", device.name());
            }
            dx_.download();
            // r reaches 1e3 where a row of one element is nearly 0.
            expect_close(dx, want, 4e-6, width == 1 ? 2e-4 : 4e-6, device.name());
            expect_close(dweight, want_weight, 2e-6, 1e-6 * (1 + std::sqrt(m)), device.name());
            dx.fill(2);
            dweight.fill(3);
          }
        }
      }
    }
    // A row of tiny values without epsilon: no power of r may overflow.
    GuardedTensor x(PRECIS_FLOAT32, {2, 8}), weight(PRECIS_FLOAT32, {8}),
        dy(PRECIS_FLOAT32, {2, 8});
    GuardedTensor dx(PRECIS_FLOAT32, {2, 8}), want(PRECIS_FLOAT32, {2, 8});
    x.fill_normal(random, 1e-16f);
    weight.fill(1);
    dy.fill_normal(random, 1e-16f);
    rms_norm_backward_ref({x, weight, dy, want, {}, 0, 0});
    OnDevice x_(x), weight_(weight), dy_(dy), dx_(dx);
    EXPECT_RUN(device, rms_norm_backward_cuda(device.context(), {x_, weight_, dy_, dx_, {}, 0, 0}));
    dx_.download();
    expect_close(dx, want, 1e-5, 1e-6, device.name());
  });
}
