#include "ops/sum_of_squares.h"

#include "test.h"

using namespace precis;

int main() {
  Random random(14);
  for (int64_t n : {0, 1, 7, 8, 31, 32, 33, 16383, 16384, 16385, 300001}) {
    for (float scale : {1.0f, 1e30f, 1e-30f}) {
      GuardedTensor x(PRECIS_FLOAT32, {n}, 0, 3);
      x.fill_normal(random, scale);
      double want = 0, first = -1;
      precis_sum_of_squares_args args = {x, &want};
      sum_of_squares_ref(args);
      for (TestContext& context : all_contexts()) {
        double got = -1;
        args.result = &got;
        EXPECT_OK(context, precis_sum_of_squares(context, &args));
        EXPECT(std::fabs(got - want) <= 1e-13 * want, "%s: %.17g, not %.17g", context.name(), got,
               want);
        EXPECT(first == -1 || got == first, "%s: %.17g, elsewhere %.17g", context.name(), got,
               first);
        first = got;
      }
    }
  }
  for (TestContext& context : all_contexts()) {
    GuardedTensor x(PRECIS_FLOAT32, {50000});
    x.fill(1);
    x.data<float>()[49999] = NAN;
    double got = 0;
    precis_sum_of_squares_args args = {x, &got};
    EXPECT_OK(context, precis_sum_of_squares(context, &args));
    EXPECT(std::isnan(got), "%s: %g", context.name(), got);
    args.result = nullptr;
    EXPECT_REFUSED(context, precis_sum_of_squares(context, &args), "result is NULL");
    args.x.rank = 2;
    EXPECT_REFUSED(context, precis_sum_of_squares(context, &args), "x has rank 2");
  }
  return test_result();
}
