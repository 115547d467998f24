#include "ops/activation.h"

#include "activation_cases.h"

using namespace precis;

int main() {
  return run_test(2, [](TestDevice& device) {
    Random random(4);
    for_activation_cases([&](const ActivationCase& c) {
      GuardedTensor x(c.in, {c.m, (1 + c.gated) * c.width}, c.gap);
      GuardedTensor y(c.out, {c.m, c.width}, c.gap, c.gap), want(c.out, {c.m, c.width});
      spread_out(x, c.width, random);
      OnDevice x_(x), y_(y);
      EXPECT_RUN(device, activation_cuda(device.context(), {x_, y_, c.kind, c.gated}));
      y_.download();
      activation_ref({x, want, c.kind, c.gated});
      expect_close(y, want, rounding(c.out) + 2e-6, 2e-6, device.name());
    });
    // In place.
    GuardedTensor x(PRECIS_BFLOAT16, {3, 40}), want(PRECIS_BFLOAT16, {3, 40});
    x.fill_normal(random);
    activation_ref({x, want, PRECIS_SILU, 0});
    OnDevice x_(x);
    EXPECT_RUN(device, activation_cuda(device.context(), {x_, x_, PRECIS_SILU, 0}));
    x_.download();
    expect_close(x, want, rounding(PRECIS_BFLOAT16), 0, device.name());
  });
}
