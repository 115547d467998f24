#include "ops/zero.h"

#include "device_test.h"

using namespace precis;

int main() {
  TestDevice device;
  if (!device.open()) return device.skip();
  for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16, PRECIS_INT32}) {
    for (int64_t m : {0, 1, 3, 70}) {
      for (int64_t n : {0, 1, 9, 64}) {
        for (int64_t gap : {0, 5}) {
          GuardedTensor y(dtype, {m, n}, gap, 1);
          y.fill(3);
          OnDevice y_(y);
          EXPECT_RUN(device, zero_cuda(device.context(), {y_}));
          y_.download();  // also checks that nothing around the elements was written
          bool zero = true;
          for (int64_t r = 0; r < m; r++) {
            for (int64_t c = 0; c < n; c++) zero &= y.at(r, c) == 0;
          }
          EXPECT(zero, "%s: %lldx%lld", device.name(), static_cast<long long>(m),
                 static_cast<long long>(n));
        }
      }
    }
  }
  return test_result();
}
