#include "ops/sgd.h"

#include "device_test.h"

using namespace precis;

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(18);
    for (float momentum : {0.0f, 0.9f}) {
      for (int64_t n : {0, 1, 7, 16, 257, 5001}) {
        GuardedTensor p(PRECIS_FLOAT32, {n}, 0, n % 4), g(PRECIS_FLOAT32, {n}, 0, n % 4);
        GuardedTensor buffer(PRECIS_FLOAT32, {n}, 0, n % 3);
        GuardedTensor want(PRECIS_FLOAT32, {n}), want_buffer(PRECIS_FLOAT32, {n});
        p.fill_normal(random);
        buffer.fill(NAN);  // not read at step 1, and never without momentum
        OnDevice p_(p), g_(g), buffer_(buffer);
        for (int64_t step : {1, 2, 3}) {
          g.fill_normal(random);
          g_.upload();
          copy_elements(p, want);
          copy_elements(buffer, want_buffer);
          precis_sgd_args args = {p_, g_, buffer_, step, 0.1f, momentum, 0.01f, 0.5f};
          if (momentum == 0) args.buffer = {};
          EXPECT_RUN(device, sgd_cuda(device.context(), args));
          p_.download();
          buffer_.download();
          args = {want, g, want_buffer, step, 0.1f, momentum, 0.01f, 0.5f};
          sgd_ref(args);
          expect_close(p, want, 1e-6, 1e-7, device.name());
          expect_close(buffer, want_buffer, 1e-6, 1e-6, device.name());
        }
      }
    }
  });
}
