// activation and activation_backward.

#include "ops/activation.h"

#include "device_test.h"
#include "ops/activation_backward.h"

using namespace precis;

namespace {

// What act is taken of includes where careless forms overflow or cancel; what multiplies it does
// not: the reference cancels too.
void spread_out(GuardedTensor& x, int64_t width, Random& random) {
  x.fill_normal(random, 3);
  const float extremes[] = {0, 1e-30f, -1e-30f, 1e4f, -1e4f, 3e38f, -3e38f, 30, -30, -11};
  for (float value : extremes) {
    store_element(x, random.below(rows(x)), random.below(width), value);
  }
}

}  // namespace

int main() {
  TestDevice device;
  if (!device.open()) return device.skip();
  while (device.next_order(2)) {
    Random random(4);
    for (int32_t kind :
         {PRECIS_RELU, PRECIS_GELU_TANH, PRECIS_GELU_ERF, PRECIS_SILU, PRECIS_TANH}) {
      for (int64_t width : {1, 9, 64, 275}) {
        for (int64_t m : {1, 8, 11}) {
          for (int32_t gated : {0, 1}) {
            for (int combination = 0; combination < 4; combination++) {
              const int32_t in = combination % 2 ? PRECIS_BFLOAT16 : PRECIS_FLOAT32;
              const int32_t out = combination / 2 ? PRECIS_BFLOAT16 : PRECIS_FLOAT32;
              const int64_t gap = width % 8;
              GuardedTensor x(in, {m, (1 + gated) * width}, gap), y(out, {m, width}, gap, gap);
              GuardedTensor want(out, {m, width});
              spread_out(x, width, random);
              OnDevice x_(x), y_(y);
              EXPECT_RUN(device, activation_cuda(device.context(), {x_, y_, kind, gated}));
              y_.download();
              activation_ref({x, want, kind, gated});
              expect_close(y, want, rounding(out) + 2e-6, 2e-6, device.name());

              GuardedTensor dy(out, {m, width}, gap), dx(in, {m, (1 + gated) * width}, 0, gap);
              GuardedTensor want_dx(in, {m, (1 + gated) * width});
              dy.fill_normal(random);
              OnDevice dy_(dy), dx_(dx);
              EXPECT_RUN(device,
                         activation_backward_cuda(device.context(), {x_, dy_, dx_, kind, gated}));
              dx_.download();
              activation_backward_ref({x, dy, want_dx, kind, gated});
              expect_close(dx, want_dx, rounding(in) + 4e-6, 4e-6, device.name());
            }
          }
        }
      }
    }
    // In place.
    GuardedTensor x(PRECIS_BFLOAT16, {3, 40}), want(PRECIS_BFLOAT16, {3, 40});
    x.fill_normal(random);
    activation_ref({x, want, PRECIS_SILU, 0});
    OnDevice x_(x);
    EXPECT_RUN(device, activation_cuda(device.context(), {x_, x_, PRECIS_SILU, 0}));
    x_.download();
    expect_close(x, want, rounding(PRECIS_BFLOAT16), 0, device.name());
  }
  return test_result();
}
