#include "ops/activation_backward.h"

#include "ops/activation.h"
#include "test.h"

using namespace precis;

namespace {

// Compares the reference with differences of the forward reference.
void check_reference(Random& random, int32_t kind, int32_t gated) {
  const int64_t m = 4, width = 9;
  GuardedTensor x(kReferenceFloat64, {m, gated ? 2 * width : width});
  GuardedTensor dx(kReferenceFloat64, {m, gated ? 2 * width : width});
  GuardedTensor y(kReferenceFloat64, {m, width}), dy(kReferenceFloat64, {m, width});
  x.fill_normal(random, 2);
  dy.fill_normal(random);
  precis_activation_args forward = {x, y, kind, gated};
  precis_activation_backward_args backward = {x, dy, dx, kind, gated};
  activation_backward_ref(backward);
  auto loss = [&] {
    activation_ref(forward);
    return inner_product(dy, y);
  };
  expect_gradient(dx, x, loss, "activation_backward_ref");
}

}  // namespace

int main() {
  Random random(13);
  const auto kinds = {PRECIS_RELU, PRECIS_GELU_TANH, PRECIS_GELU_ERF, PRECIS_SILU, PRECIS_TANH};
  for (int32_t kind : kinds) {
    check_reference(random, kind, 0);
    check_reference(random, kind, 1);
  }
  for (TestContext& context : all_contexts()) {
    for (int32_t kind : kinds) {
      for (int32_t gated : {0, 1}) {
        for (int types = 0; types < 8; types++) {
          auto type = [&](int i) { return types >> i & 1 ? PRECIS_BFLOAT16 : PRECIS_FLOAT32; };
          for (int64_t width : {0, 1, 8, 15, 17, 257, 2048}) {
            const int64_t m = width == 2048 ? 9 : 3, wide = gated ? 2 * width : width;
            GuardedTensor x(type(0), {m, wide}, 3, 1), dy(type(1), {m, width}, 2, 3);
            GuardedTensor dx(type(2), {m, wide}, 1, 2), want(type(2), {m, wide});
            x.fill_normal(random, 3);
            dy.fill_normal(random);
            precis_activation_backward_args args = {x, dy, dx, kind, gated};
            EXPECT_OK(context, precis_activation_backward(context, &args));
            EXPECT(dx.intact(), "%s width %lld", context.name(), static_cast<long long>(width));
            args.dx = want;
            activation_backward_ref(args);
            expect_close(dx, want, rounding(type(2)), 4e-6, context.name());
          }
        }
      }
      // The far tails, in place.
      const float awkward[] = {0,        -0.0f,     1e-30f, -1e-30f, 30,     -30,   88,
                               -88,      104,       -104,   1e10f,   -1e10f, 3e38f, -3e38f,
                               INFINITY, -INFINITY, 1e-42f, 9.4f,    -9.4f,  NAN};
      const int64_t count = sizeof awkward / sizeof awkward[0];
      GuardedTensor x(PRECIS_FLOAT32, {1, count}), dy(PRECIS_FLOAT32, {1, count});
      GuardedTensor want(PRECIS_FLOAT32, {1, count});
      std::memcpy(x.data<float>(), awkward, sizeof awkward);
      dy.fill(1);
      precis_activation_backward_args args = {x, dy, want, kind, 0};
      activation_backward_ref(args);
      for (int64_t i : {14, 15}) {  // the limits, which the formulas miss
        want.data<float>()[i] = i == 14 && kind != PRECIS_TANH ? 1.0f : 0.0f;
      }
      args.dx = dy;
      EXPECT_OK(context, precis_activation_backward(context, &args));
      expect_close(dy, want, 1e-6, 1e-6, context.name());

      // Tests every step of 1/512 between -12 and 12.
      GuardedTensor grid(PRECIS_FLOAT32, {1, 12289}), slope(PRECIS_FLOAT32, {1, 12289});
      GuardedTensor exact(PRECIS_FLOAT32, {1, 12289}), ones(PRECIS_FLOAT32, {1, 12289});
      for (int i = 0; i < 12289; i++) grid.data<float>()[i] = static_cast<float>(i - 6144) / 512;
      ones.fill(1);
      args = {grid, ones, exact, kind, 0};
      activation_backward_ref(args);
      args.dx = slope;
      EXPECT_OK(context, precis_activation_backward(context, &args));
      expect_close(slope, exact, 5e-7, 6e-7, context.name());
    }
    GuardedTensor x(PRECIS_FLOAT32, {2, 8}), dy(PRECIS_FLOAT32, {2, 4}), dx(PRECIS_FLOAT32, {2, 8});
    precis_activation_backward_args args = {x, dy, dx, PRECIS_SILU, 0};
    EXPECT_REFUSED(context, precis_activation_backward(context, &args), "dy has 4");
    args.kind = 5;
    EXPECT_REFUSED(context, precis_activation_backward(context, &args), "kind 5");
    args.kind = PRECIS_SILU;
    args.gated = 1;
    args.dx = x;
    EXPECT_REFUSED(context, precis_activation_backward(context, &args), "dx overlaps x");
    args.dx = dx;
    args.dy.data = dx.data<float>() + 4;
    EXPECT_REFUSED(context, precis_activation_backward(context, &args), "dx overlaps dy");
    args.dx.dims[1] = 4;
    EXPECT_REFUSED(context, precis_activation_backward(context, &args), "dx has 4");
  }
  return test_result();
}
