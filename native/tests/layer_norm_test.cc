#include "ops/layer_norm.h"

#include "test.h"

using namespace precis;

int main() {
  Random random(20);
  for (TestContext& context : all_contexts()) {
    for (int64_t width : {1, 3, 8, 15, 17, 63, 64, 65, 257, 768}) {
      for (int64_t m : {0, 1, 5, 67}) {
        for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          GuardedTensor x(PRECIS_FLOAT32, {m, width}, 3, 1), weight(PRECIS_FLOAT32, {width}, 0, 5);
          GuardedTensor bias(PRECIS_FLOAT32, {width}, 0, 3);
          GuardedTensor y(dtype, {m, width}, 2, 3), want(dtype, {m, width});
          x.fill_normal(random);
          weight.fill_normal(random);
          bias.fill_normal(random);
          precis_layer_norm_args args = {x, weight, bias, y, 1e-5f, 0};
          EXPECT_OK(context, precis_layer_norm(context, &args));
          EXPECT(y.intact(), "%s width %lld", context.name(), static_cast<long long>(width));
          args.y = want;
          layer_norm_ref(args);
          expect_close(y, want, rounding(dtype), 2e-6, context.name());
        }
      }
    }
    // A mean far from zero, where E[x^2] - mean^2 would lose all precision.
    GuardedTensor x(PRECIS_FLOAT32, {2, 769}), weight(PRECIS_FLOAT32, {769});
    GuardedTensor bias(PRECIS_FLOAT32, {769}), y(PRECIS_FLOAT32, {2, 769});
    GuardedTensor want(PRECIS_FLOAT32, {2, 769});
    for (int64_t i = 0; i < 2 * 769; i++) x.data<float>()[i] = 8192.0f + random.below(5);
    weight.fill(1);
    bias.fill(0);
    precis_layer_norm_args args = {x, weight, bias, want, 0, 0};
    layer_norm_ref(args);
    args.y = y;
    EXPECT_OK(context, precis_layer_norm(context, &args));
    expect_close(y, want, 0, 2e-3, context.name());

    args.bias.dims[0] = 768;
    EXPECT_REFUSED(context, precis_layer_norm(context, &args), "bias has 768");
    args.bias = bias;
    args.weight.data = nullptr;
    EXPECT_REFUSED(context, precis_layer_norm(context, &args), "weight has no data");
    args.weight = weight;
    args.y = x;
    EXPECT_REFUSED(context, precis_layer_norm(context, &args), "y overlaps x");
    args.y = y;
    args.epsilon = NAN;
    EXPECT_REFUSED(context, precis_layer_norm(context, &args), "epsilon is nan");
    args.x.dims[1] = args.y.dims[1] = args.weight.dims[0] = args.bias.dims[0] = 0;
    EXPECT_REFUSED(context, precis_layer_norm(context, &args), "x has no columns");
  }
  return test_result();
}
