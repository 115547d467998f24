// add, convert and dropout.

#include "device_test.h"
#include "ops/add.h"
#include "ops/convert.h"
#include "ops/dropout.h"

using namespace precis;

namespace {

struct Case {
  int64_t m, n, gap, offset;
  int32_t x_type, y_type;
};

void add(TestDevice& device, const Case& c, Random& random) {
  GuardedTensor x(c.x_type, {c.m, c.n}, c.gap, c.offset), y(c.y_type, {c.m, c.n}, c.gap, c.offset);
  GuardedTensor want(c.y_type, {c.m, c.n});
  x.fill_normal(random);
  y.fill(0.75f);
  want.fill(0.75f);
  OnDevice x_(x), y_(y);
  EXPECT_RUN(device, add_cuda(device.context(), {x_, y_, -1.5f, 0}));
  y_.download();
  add_ref({x, want, -1.5f, 0});
  expect_close(y, want, rounding(c.y_type), 2e-7, device.name());
}

void convert(TestDevice& device, const Case& c, Random& random) {
  GuardedTensor x(c.x_type, {c.m, c.n}, c.gap, c.offset), y(c.y_type, {c.m, c.n}, c.gap, c.offset);
  GuardedTensor want(c.y_type, {c.m, c.n});
  x.fill_normal(random);
  // Halfway between two values of bfloat16, and the ends of the range.
  const float values[] = {1.00390625f, 1.01171875f, 3.4e38f, -INFINITY, 1e-40f, NAN, -0.0f};
  for (float v : values) store_element(x, random.below(c.m), random.below(c.n), v);
  OnDevice x_(x), y_(y);
  EXPECT_RUN(device, convert_cuda(device.context(), {x_, y_}));
  y_.download();
  convert_ref({x, want});
  expect_close(y, want, 0, 0, device.name());
}

void dropout(TestDevice& device, const Case& c, int32_t accumulate, Random& random) {
  GuardedTensor x(c.x_type, {c.m, c.n}, c.gap, c.offset), y(c.y_type, {c.m, c.n}, c.gap, c.offset);
  GuardedTensor want(c.y_type, {c.m, c.n});
  x.fill_normal(random);
  y.fill(0.5f);
  want.fill(0.5f);
  const uint64_t seed = random.next(), offset = random.next();
  const float probability = c.m % 2 ? 0.3f : 0.0f;
  OnDevice x_(x), y_(y);
  EXPECT_RUN(device,
             dropout_cuda(device.context(), {x_, y_, seed, offset, probability, accumulate}));
  y_.download();
  dropout_ref({x, want, seed, offset, probability, accumulate});
  expect_close(y, want, rounding(c.y_type), 2e-7, device.name());
}

}  // namespace

int main() {
  TestDevice device;
  if (!device.open()) return device.skip();
  while (device.next_order(2)) {
    Random random(6);
    for (int64_t m : {1, 7, 8, 19}) {
      for (int64_t n : {1, 8, 63, 64, 259, 2064}) {
        for (int types = 0; types < 4; types++) {
          const Case c = {m,
                          n,
                          n % 8,
                          n % 8,
                          types % 2 ? PRECIS_BFLOAT16 : PRECIS_FLOAT32,
                          types / 2 ? PRECIS_BFLOAT16 : PRECIS_FLOAT32};
          add(device, c, random);
          convert(device, c, random);
          dropout(device, c, 0, random);
          if (c.y_type == PRECIS_FLOAT32) dropout(device, c, 1, random);
        }
      }
    }
    GuardedTensor empty(PRECIS_FLOAT32, {0, 5});
    OnDevice empty_(empty);
    EXPECT_RUN(device, add_cuda(device.context(), {empty_, empty_, 1, 0}));
    EXPECT_RUN(device, dropout_cuda(device.context(), {empty_, empty_, 1, 1, 0.5f, 0}));
  }
  return test_result();
}
