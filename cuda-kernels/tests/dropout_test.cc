#include "ops/dropout.h"

#include "elementwise_cases.h"

using namespace precis;

int main() {
  return run_test(2, [](TestDevice& device) {
    Random random(6);
    for_elementwise_cases(random, [&](ElementwiseCase& c) {
      const int32_t y_type = c.y.tensor().dtype;
      for (int32_t accumulate : {0, 1}) {
        if (accumulate && y_type != PRECIS_FLOAT32) continue;
        c.y.fill(0.5f);
        c.want.fill(0.5f);
        const uint64_t seed = random.next(), offset = random.next();
        const float probability = rows(c.x) % 2 ? 0.3f : 0.0f;
        OnDevice x_(c.x), y_(c.y);
        EXPECT_RUN(device,
                   dropout_cuda(device.context(), {x_, y_, seed, offset, probability, accumulate}));
        y_.download();
        dropout_ref({c.x, c.want, seed, offset, probability, accumulate});
        expect_close(c.y, c.want, rounding(y_type), 2e-7, device.name());
      }
    });
    GuardedTensor empty(PRECIS_FLOAT32, {0, 5});
    OnDevice empty_(empty);
    EXPECT_RUN(device, dropout_cuda(device.context(), {empty_, empty_, 1, 1, 0.5f, 0}));
  });
}
