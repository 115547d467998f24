#include "ops/top_k.h"

#include "test.h"

using namespace precis;

int main() {
  std::vector<TestContext> contexts = all_contexts();
  Random random(7);
  for (int64_t n : {1, 2, 63, 64, 65, 111, 257, 1000, 32128}) {
    for (int64_t m : {1, 5}) {
      for (int64_t k : {1, 2, 8, 50, 300, 999}) {
        for (int kind = 0; kind < 5; kind++) {
          if (k > n) continue;
          GuardedTensor x(PRECIS_FLOAT32, {m, n}, 3, 1);
          GuardedTensor want_values(PRECIS_FLOAT32, {m, k}), want_indices(PRECIS_INT32, {m, k});
          for (int64_t r = 0; r < m; r++) {
            float* v = row<float>(x, r);
            for (int64_t i = 0; i < n; i++) {
              v[i] = kind == 0   ? random.normal()
                     : kind == 1 ? static_cast<float>(random.below(3)) - 1     // ties everywhere
                     : kind == 2 ? (random.below(40) == 0 ? 1.0f : -INFINITY)  // fewer than k
                     : kind == 3 ? (random.below(2) ? 0.0f : -0.0f)            // equal
                                 : static_cast<float>(i) * (r % 2 ? 1 : -1);   // sorted
            }
            if (kind == 0 && n > 2) v[n / 2] = INFINITY;
          }
          precis_top_k_args args = {x, want_values, want_indices};
          top_k_ref(args);
          for (TestContext& context : contexts) {
            GuardedTensor values(PRECIS_FLOAT32, {m, k}, 2, 1);
            GuardedTensor indices(PRECIS_INT32, {m, k}, 1, 1);
            args.values = values;
            args.indices = indices;
            EXPECT_OK(context, precis_top_k(context, &args));
            EXPECT(values.intact() && indices.intact());
            bool same = true;
            for (int64_t r = 0; r < m; r++) {
              same &= std::memcmp(row<float>(values, r), row<float>(want_values, r), k * 4) == 0;
              same &= std::memcmp(row<float>(indices, r), row<float>(want_indices, r), k * 4) == 0;
            }
            EXPECT(same, "%s n %lld k %lld kind %d", context.name(), static_cast<long long>(n),
                   static_cast<long long>(k), kind);
          }
        }
      }
    }
  }
  for (TestContext& context : contexts) {
    GuardedTensor x(PRECIS_FLOAT32, {3, 70}), values(PRECIS_FLOAT32, {3, 71});
    GuardedTensor indices(PRECIS_INT32, {3, 71});
    x.fill(1);
    precis_top_k_args args = {x, values, indices};
    EXPECT_REFUSED(context, precis_top_k(context, &args), "k is 71");
    args.values.dims[1] = args.indices.dims[1] = 0;
    EXPECT_REFUSED(context, precis_top_k(context, &args), "k is 0");
    args.values.dims[1] = args.indices.dims[1] = 4;
    for (int64_t bad : {0, 40, 69}) {
      x.fill(1);
      row<float>(x, 1)[bad] = row<float>(x, 2)[3] = -NAN;
      EXPECT_REFUSED(context, precis_top_k(context, &args), "row 1 of x has NaN");
    }
    args.indices.dims[1] = 3;
    EXPECT_REFUSED(context, precis_top_k(context, &args), "indices has 3");
  }
  return test_result();
}
