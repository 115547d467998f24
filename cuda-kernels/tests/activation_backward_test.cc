#include "ops/activation_backward.h"

#include "activation_cases.h"

using namespace precis;

int main() {
  return run_test(2, [](TestDevice& device) {
    Random random(4);
    for_activation_cases([&](const ActivationCase& c) {
      const int64_t in_width = (1 + c.gated) * c.width;
      GuardedTensor x(c.in, {c.m, in_width}, c.gap), dx(c.in, {c.m, in_width}, 0, c.gap);
      GuardedTensor dy(c.out, {c.m, c.width}, c.gap), want(c.in, {c.m, in_width});
      spread_out(x, c.width, random);
      dy.fill_normal(random);
      OnDevice x_(x), dy_(dy), dx_(dx);
      EXPECT_RUN(device,
                 activation_backward_cuda(device.context(), {x_, dy_, dx_, c.kind, c.gated}));
      dx_.download();
      activation_backward_ref({x, dy, want, c.kind, c.gated});
      expect_close(dx, want, rounding(c.in) + 4e-6, 4e-6, device.name());
    });
  });
}
