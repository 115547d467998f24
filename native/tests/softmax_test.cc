#include "ops/softmax.h"

#include "test.h"

using namespace precis;

int main() {
  std::vector<TestContext> contexts = all_contexts();
  Random random(5);
  for (int64_t n : {1, 7, 8, 15, 16, 17, 33, 111, 257, 4095, 4096, 4097, 8193, 32128}) {
    for (int64_t m : {1, 2, 3, 33}) {
      if (n * m > 200000) continue;
      for (int32_t logarithm : {0, 1}) {
        GuardedTensor x(PRECIS_FLOAT32, {m, n}, 3, 1), want(PRECIS_FLOAT32, {m, n});
        x.fill_normal(random, 4);
        // Blocks of nothing but -inf at either end, and large values.
        if (n > 1) row<float>(x, 0)[n - 1] = -INFINITY;
        if (n > 8192) {
          for (int64_t c = 0; c < 4096; c++) row<float>(x, 0)[c] = -INFINITY;
          row<float>(x, m - 1)[5000] = 1e30f;
        }
        precis_softmax_args args = {x, want, logarithm, 0};
        softmax_ref(args);
        for (TestContext& context : contexts) {
          GuardedTensor y(PRECIS_FLOAT32, {m, n}, 2, 3), alone(PRECIS_FLOAT32, {1, n});
          args.y = y;
          EXPECT_OK(context, precis_softmax(context, &args));
          EXPECT(y.intact(), "%s n %lld", context.name(), static_cast<long long>(n));
          expect_close(y, want, 3e-6, logarithm ? 1e-6 : 1e-9, context.name());
          // A row is bitwise identical to the same row alone, in place.
          std::memcpy(alone.data<float>(), row<float>(x, m - 1), n * sizeof(float));
          precis_softmax_args one = {alone, alone, logarithm, 0};
          EXPECT_OK(context, precis_softmax(context, &one));
          EXPECT(std::memcmp(alone.data<float>(), row<float>(y, m - 1), n * sizeof(float)) == 0,
                 "%s (%lld, %lld)", context.name(), static_cast<long long>(m),
                 static_cast<long long>(n));
        }
        // Results are bitwise identical for any number of threads: contexts come in pairs of one
        // and two.
        for (size_t i = 0; i + 1 < contexts.size(); i += 2) {
          GuardedTensor one(PRECIS_FLOAT32, {m, n}), two(PRECIS_FLOAT32, {m, n});
          args.y = one;
          EXPECT_OK(contexts[i], precis_softmax(contexts[i], &args));
          args.y = two;
          EXPECT_OK(contexts[i + 1], precis_softmax(contexts[i + 1], &args));
          EXPECT(std::memcmp(one.data<float>(), two.data<float>(), m * n * sizeof(float)) == 0,
                 "%s", contexts[i].name());
        }
      }
    }
  }
  for (TestContext& context : contexts) {
    for (int64_t n : {3, 17, 9000}) {
      for (int64_t m : {1, 4}) {
        GuardedTensor x(PRECIS_FLOAT32, {m, n}), y(PRECIS_FLOAT32, {m, n});
        precis_softmax_args args = {x, y, 0, 0};
        const std::string where = "row " + std::to_string(m - 1) + " of x has ";
        x.fill(0);
        row<float>(x, m - 1)[n / 2] = NAN;
        EXPECT_REFUSED(context, precis_softmax(context, &args), (where + "NaN").c_str());
        row<float>(x, m - 1)[n / 2] = INFINITY;
        EXPECT_REFUSED(context, precis_softmax(context, &args), (where + "+inf").c_str());
        for (int64_t c = 0; c < n; c++) row<float>(x, m - 1)[c] = -INFINITY;
        EXPECT_REFUSED(context, precis_softmax(context, &args), (where + "nothing but").c_str());
      }
    }
    GuardedTensor x(PRECIS_FLOAT32, {2, 8}), y(PRECIS_FLOAT32, {2, 7});
    precis_softmax_args args = {x, y, 0, 0};
    EXPECT_REFUSED(context, precis_softmax(context, &args), "y has 7");
  }
  return test_result();
}
