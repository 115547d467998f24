#include "ops/weight_gradient.h"

#include "device_test.h"
#include "matmul_cases.h"

using namespace precis;

int main() {
  TestDevice device;
  if (!device.open()) return device.skip();
  const struct {
    int64_t m, n, k;
  } shapes[] = {{0, 3, 5}, {1, 1, 1}, {33, 16, 72}, {70, 130, 65}, {1100, 8, 40}};
  while (device.next_order(3)) {
    Random random(31);
    for (const auto& s : shapes) {
      for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        for (int32_t accumulate : {0, 1}) {
          const int32_t dy_type = accumulate ? PRECIS_BFLOAT16 : PRECIS_FLOAT32;
          const int64_t gap = s.k % 8;
          GuardedTensor dy(dy_type, {s.m, s.n}, gap, gap), x(PRECIS_FLOAT32, {s.m, s.k}, gap, gap);
          GuardedTensor dw(PRECIS_FLOAT32, {s.n, s.k}, gap, gap), want(PRECIS_FLOAT32, {s.n, s.k});
          dy.fill_normal(random);
          x.fill_normal(random);
          dw.fill(0.5f);
          want.fill(0.5f);
          OnDevice dy_(dy), x_(x), dw_(dw);
          EXPECT_RUN(device, weight_gradient_cuda(device.context(),
                                                  {dy_, x_, dw_, -0.5f, dtype, accumulate, 0}));
          dw_.download();
          weight_gradient_ref({dy, x, want, -0.5f, dtype, accumulate, 0});
          expect_close(dw, want, 2e-6, sum_error(s.m), device.name());
        }
      }
    }
  }
  return test_result();
}
