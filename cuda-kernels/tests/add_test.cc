#include "ops/add.h"

#include "elementwise_cases.h"

using namespace precis;

int main() {
  return run_test(2, [](TestDevice& device) {
    Random random(6);
    for_elementwise_cases(random, [&](ElementwiseCase& c) {
      OnDevice x_(c.x), y_(c.y);
      EXPECT_RUN(device, add_cuda(device.context(), {x_, y_, -1.5f, 0}));
      y_.download();
      add_ref({c.x, c.want, -1.5f, 0});
      expect_close(c.y, c.want, rounding(c.y.tensor().dtype), 2e-7, device.name());
    });
    GuardedTensor empty(PRECIS_FLOAT32, {0, 5});
    OnDevice empty_(empty);
    EXPECT_RUN(device, add_cuda(device.context(), {empty_, empty_, 1, 0}));
  });
}
