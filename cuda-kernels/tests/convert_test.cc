#include "ops/convert.h"

#include "elementwise_cases.h"

using namespace precis;

int main() {
  return run_test(2, [](TestDevice& device) {
    Random random(6);
    for_elementwise_cases(random, [&](ElementwiseCase& c) {
      // Halfway between two bfloat16 values, and the ends of the range.
      const float values[] = {1.00390625f, 1.01171875f, 3.4e38f, -INFINITY, 1e-40f, NAN, -0.0f};
      for (float v : values) {
        store_element(c.x, random.below(rows(c.x)), random.below(columns(c.x)), v);
      }
      OnDevice x_(c.x), y_(c.y);
      EXPECT_RUN(device, convert_cuda(device.context(), {x_, y_}));
      y_.download();
      convert_ref({c.x, c.want});
      expect_close(c.y, c.want, 0, 0, device.name());
    });
  });
}
