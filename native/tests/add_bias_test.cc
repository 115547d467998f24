#include "ops/add_bias.h"

#include "test.h"

using namespace precis;

int main() {
  Random random(22);
  for (TestContext& context : all_contexts()) {
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (int64_t width : {0, 1, 7, 16, 17, 63, 257, 40001}) {
        for (int64_t m : {0, 1, 3, 130}) {
          if (width * m > 150000) continue;
          GuardedTensor y(dtype, {m, width}, 2, 3), want(dtype, {m, width});
          GuardedTensor bias(PRECIS_FLOAT32, {width}, 0, 1);
          y.fill_normal(random);
          bias.fill_normal(random);
          for (int64_t r = 0; r < m; r++) {
            for (int64_t c = 0; c < width; c++) store_element(want, r, c, y.at(r, c));
          }
          precis_add_bias_args args = {y, bias};
          EXPECT_OK(context, precis_add_bias(context, &args));
          EXPECT(y.intact(), "%s width %lld", context.name(), static_cast<long long>(width));
          args.y = want;
          add_bias_ref(args);
          expect_close(y, want, rounding(dtype), 1e-7, context.name());
        }
      }
    }
    GuardedTensor y(PRECIS_FLOAT32, {2, 8}), bias(PRECIS_FLOAT32, {7});
    precis_add_bias_args args = {y, bias};
    EXPECT_REFUSED(context, precis_add_bias(context, &args), "bias has 7");
    args.bias.dims[0] = 8;
    args.bias.data = y.data<float>() + 8;
    EXPECT_REFUSED(context, precis_add_bias(context, &args), "y overlaps bias");
    args.bias.dtype = PRECIS_BFLOAT16;
    EXPECT_REFUSED(context, precis_add_bias(context, &args), "bias cannot be bfloat16");
  }
  return test_result();
}
