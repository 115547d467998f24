#include "ops/add.h"

#include "test.h"

using namespace precis;

int main() {
  Random random(11);
  for (TestContext& context : all_contexts()) {
    for (int32_t from : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (int32_t to : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        for (int64_t width : {0, 1, 7, 16, 17, 63, 257, 40001}) {
          for (int64_t m : {0, 1, 3, 130}) {
            if (width * m > 100000) continue;
            GuardedTensor x(from, {m, width}, 3, 1), y(to, {m, width}, 2, 3), want(to, {m, width});
            x.fill_normal(random);
            y.fill_normal(random);
            for (int64_t r = 0; r < m; r++) {
              for (int64_t c = 0; c < width; c++) store_element(want, r, c, y.at(r, c));
            }
            precis_add_args args = {x, y, -0.37f, 0};
            EXPECT_OK(context, precis_add(context, &args));
            EXPECT(y.intact(), "%s width %lld", context.name(), static_cast<long long>(width));
            args.y = want;
            add_ref(args);
            expect_close(y, want, rounding(to), 1e-7, context.name());
          }
        }
      }
    }
    GuardedTensor x(PRECIS_FLOAT32, {2, 8}), y(PRECIS_FLOAT32, {2, 7}), z(PRECIS_INT32, {2, 8});
    precis_add_args args = {x, y, 1, 0};
    EXPECT_REFUSED(context, precis_add(context, &args), "y has 7 as dimension 1, but x's is 8");
    args.y = x;
    EXPECT_REFUSED(context, precis_add(context, &args), "y overlaps x");
    args.y = z;
    EXPECT_REFUSED(context, precis_add(context, &args), "y cannot be int32");
  }
  return test_result();
}
