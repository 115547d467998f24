#include "ops/rms_norm.h"

#include "test.h"

using namespace precis;

int main() {
  Random random(1);
  for (TestContext& context : all_contexts()) {
    for (int64_t width : {1, 3, 7, 8, 15, 16, 17, 63, 64, 65, 96, 257, 768}) {
      for (int64_t m : {1, 2, 5, 67}) {
        for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          GuardedTensor x(PRECIS_FLOAT32, {m, width}, 3, 1), weight(PRECIS_FLOAT32, {width}, 0, 5);
          GuardedTensor y(dtype, {m, width}, 2, 3), want(dtype, {m, width});
          x.fill_normal(random);
          weight.fill_normal(random);
          precis_rms_norm_args args = {};
          args.x = x;
          args.weight = weight;
          args.y = y;
          args.epsilon = 1e-6f;
          EXPECT_OK(context, precis_rms_norm(context, &args));
          EXPECT(y.intact(), "%s width %lld", context.name(), static_cast<long long>(width));
          args.y = want;
          rms_norm_ref(args);
          expect_close(y, want, rounding(dtype), 1e-7, context.name());
        }
      }
    }
    GuardedTensor x(PRECIS_FLOAT32, {2, 8}), weight(PRECIS_FLOAT32, {7}), y(PRECIS_FLOAT32, {2, 8});
    precis_rms_norm_args args = {};
    args.x = x;
    args.weight = weight;
    args.y = y;
    EXPECT_REFUSED(context, precis_rms_norm(context, &args), "weight has 7");
    args.weight.data = nullptr;
    args.weight.dims[0] = 8;
    EXPECT_REFUSED(context, precis_rms_norm(context, &args), "weight has no data");
    args.weight = weight;
    args.x.dtype = 77;
    EXPECT_REFUSED(context, precis_rms_norm(context, &args), "x cannot be unknown");
    EXPECT(precis_rms_norm(context, nullptr) == PRECIS_INVALID_ARGUMENT);
  }
  return test_result();
}
