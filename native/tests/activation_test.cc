#include "ops/activation.h"

#include "test.h"

using namespace precis;

int main() {
  Random random(4);
  for (TestContext& context : all_contexts()) {
    for (int32_t kind :
         {PRECIS_RELU, PRECIS_GELU_TANH, PRECIS_GELU_ERF, PRECIS_SILU, PRECIS_TANH}) {
      for (int32_t gated : {0, 1}) {
        for (int32_t from : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          for (int32_t to : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
            for (int64_t width : {0, 1, 7, 8, 15, 16, 17, 33, 257, 2048}) {
              const int64_t m = width == 2048 ? 9 : 3;
              GuardedTensor x(from, {m, gated ? 2 * width : width}, 3, 1);
              GuardedTensor y(to, {m, width}, 2, 3), want(to, {m, width});
              x.fill_normal(random, 3);
              precis_activation_args args = {x, y, kind, gated};
              EXPECT_OK(context, precis_activation(context, &args));
              EXPECT(y.intact(), "%s width %lld", context.name(), static_cast<long long>(width));
              args.y = want;
              activation_ref(args);
              expect_close(y, want, rounding(to), 1e-6, context.name());
            }
          }
        }
      }
      // The far tails, NaN and infinities, in place.
      const float awkward[] = {0,     -0.0f,  1e-30f,   -1e-30f, 30,     -30,
                               88,    -88,    104,      -104,    1e10f,  -1e10f,
                               3e38f, -3e38f, INFINITY, NAN,     1e-42f, -1e-42f};
      const int64_t count = sizeof awkward / sizeof awkward[0];
      GuardedTensor x(PRECIS_FLOAT32, {1, count}), want(PRECIS_FLOAT32, {1, count});
      std::memcpy(x.data<float>(), awkward, sizeof awkward);
      precis_activation_args args = {x, want, kind, 0};
      activation_ref(args);
      // The formulas have inf * 0 in them, the limit has not.
      if (kind != PRECIS_TANH) want.data<float>()[14] = INFINITY;
      if (kind == PRECIS_RELU) want.data<float>()[15] = NAN;
      args.y = x;
      EXPECT_OK(context, precis_activation(context, &args));
      expect_close(x, want, 1e-6, 1e-6, context.name());

      // Tests every step of 1/512 between -12 and 12, at the accuracy that the header promises.
      GuardedTensor grid(PRECIS_FLOAT32, {1, 12289}), exact(PRECIS_FLOAT32, {1, 12289});
      for (int i = 0; i < 12289; i++) grid.data<float>()[i] = static_cast<float>(i - 6144) / 512;
      args = {grid, exact, kind, 0};
      activation_ref(args);
      args.y = grid;
      EXPECT_OK(context, precis_activation(context, &args));
      expect_close(grid, exact, 4e-7, 6e-7, context.name());
    }
    GuardedTensor x(PRECIS_FLOAT32, {2, 8}), y(PRECIS_FLOAT32, {2, 4});
    x.fill(1);
    precis_activation_args args = {x, y, PRECIS_SILU, 0};
    EXPECT_REFUSED(context, precis_activation(context, &args), "y has 4");
    args.gated = 1;
    args.kind = 9;
    EXPECT_REFUSED(context, precis_activation(context, &args), "kind 9");
    args.kind = PRECIS_SILU;
    args.y.data = x.tensor().data;
    EXPECT_REFUSED(context, precis_activation(context, &args), "y overlaps x");
  }
  return test_result();
}
