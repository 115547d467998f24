#include "ops/zero.h"

#include "test.h"

using namespace precis;

int main() {
  Random random(23);
  for (TestContext& context : all_contexts()) {
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (int64_t width : {0, 1, 7, 257, 70001}) {
        for (int64_t m : {0, 1, 3, 40}) {
          if (width * m > 300000) continue;
          GuardedTensor y(dtype, {m, width}, 2, 3);
          y.fill_normal(random);
          precis_zero_args args = {y};
          EXPECT_OK(context, precis_zero(context, &args));
          EXPECT(y.intact(), "%s width %lld", context.name(), static_cast<long long>(width));
          bool zero = true;
          for (int64_t r = 0; r < m; r++) {
            for (int64_t c = 0; c < width; c++) zero &= y.at(r, c) == 0;
          }
          EXPECT(zero, "%s width %lld", context.name(), static_cast<long long>(width));
        }
      }
    }
    GuardedTensor y(PRECIS_FLOAT32, {2, 8});
    precis_zero_args args = {y};
    args.y.rank = 3;
    EXPECT_REFUSED(context, precis_zero(context, &args), "y has rank 3");
    args = {y};
    args.y.row_stride = 7;
    EXPECT_REFUSED(context, precis_zero(context, &args), "rows of 8 elements, 7 apart");
  }
  return test_result();
}
