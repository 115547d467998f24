#include "ops/dropout.h"

#include "test.h"

using namespace precis;

namespace {

void copy(const GuardedTensor& from, const GuardedTensor& to) {
  for (int64_t r = 0; r < rows(from); r++) {
    for (int64_t c = 0; c < columns(from); c++) store_element(to, r, c, from.at(r, c));
  }
}

// Expects the frequency of kept elements, alone and together with the next one, the next row and
// the same element under another offset or seed, to be within five standard deviations of
// independence.
void check_rate(TestContext& context, float probability) {
  const int64_t m = 64, n = 4096;
  GuardedTensor x(PRECIS_FLOAT32, {m, n}), y(PRECIS_FLOAT32, {m, n});
  GuardedTensor offset(PRECIS_FLOAT32, {m, n}), seed(PRECIS_FLOAT32, {m, n});
  x.fill(1);
  precis_dropout_args args = {x, y, 7, 9, probability, 0, {}};
  EXPECT_OK(context, precis_dropout(context, &args));
  args.y = offset;
  args.offset++;
  EXPECT_OK(context, precis_dropout(context, &args));
  args.y = seed;
  args.seed++;
  EXPECT_OK(context, precis_dropout(context, &args));
  double kept = 0, scaled = 0, beside = 0, below = 0, offsets = 0, seeds = 0;
  const float scale = 1 / (1 - probability);
  for (int64_t r = 0; r < m; r++) {
    for (int64_t c = 0; c < n; c++) {
      const bool here = y.at(r, c) != 0;
      scaled += here && y.at(r, c) == scale;
      kept += here;
      beside += here && y.at(r, (c + 1) % n) != 0;
      below += here && y.at((r + 1) % m, c) != 0;
      offsets += here && offset.at(r, c) != 0;
      seeds += offset.at(r, c) != 0 && seed.at(r, c) != 0;
    }
  }
  EXPECT(scaled == kept, "%s: %g of %g are %g", context.name(), scaled, kept, scale);
  const double count = m * n, q = 1 - probability;
  auto expect_share = [&](const char* what, double got, double want) {
    EXPECT(std::fabs(got / count - want) <= 5 * std::sqrt(want * (1 - want) / count),
           "%s: %s is %g, not %g", context.name(), what, got / count, want);
  };
  expect_share("kept", kept, q);
  expect_share("neighbours", beside, q * q);
  expect_share("rows", below, q * q);
  expect_share("offsets", offsets, q * q);
  expect_share("seeds", seeds, q * q);
}

// Rows that name an example and a position get the mask of that position under an offset of the
// example's own, wherever they lie: here those of a batch of two examples in another order.
void check_rows(TestContext& context) {
  const int64_t width = 130;
  GuardedTensor x(PRECIS_FLOAT32, {5, width}), y(PRECIS_FLOAT32, {5, width});
  GuardedTensor alone(PRECIS_FLOAT32, {3, width});
  x.fill(1);
  GuardedTensor names(PRECIS_INT64, {5});
  const int64_t example = 6;
  const int64_t in_batch[] = {0, 1, example << 32 | 2, example << 32, example << 32 | 1};
  for (int64_t r = 0; r < 5; r++) names.data<int64_t>()[r] = in_batch[r];
  precis_dropout_args args = {x, y, 7, 9, 0.5f, 0, names};
  EXPECT_OK(context, precis_dropout(context, &args));
  auto expect_row = [&](int64_t r, int64_t position) {
    int64_t differ = 0;
    for (int64_t c = 0; c < width; c++) differ += y.at(r, c) != alone.at(position, c);
    EXPECT(differ == 0, "%s: %lld of row %lld", context.name(), static_cast<long long>(differ),
           static_cast<long long>(r));
  };
  // Without names the first rows are those of example 0.
  precis_tensor first = x;
  first.dims[0] = 3;
  args = {first, alone, 7, 9, 0.5f, 0, {}};
  EXPECT_OK(context, precis_dropout(context, &args));
  expect_row(0, 0);
  expect_row(1, 1);
  args.offset = 9 + (static_cast<uint64_t>(example) << 32);
  EXPECT_OK(context, precis_dropout(context, &args));
  expect_row(2, 2);
  expect_row(3, 0);
  expect_row(4, 1);
  args.dropout_rows = names;
  EXPECT_REFUSED(context, precis_dropout(context, &args),
                 "dropout_rows has 5 elements, but x has 3 rows");
  args.dropout_rows = first;
  args.dropout_rows.rank = 1;
  EXPECT_REFUSED(context, precis_dropout(context, &args), "dropout_rows cannot be float32");
}

}  // namespace

int main() {
  Random random(17);
  for (float probability : {0.0f, 0.05f, 0.5f, 0.99999994f}) {
    for (int64_t width : {0, 1, 7, 16, 63, 64, 65, 127, 768, 16385}) {
      const int64_t m = width > 1000 ? 3 : width == 768 ? 130 : 9;
      for (int types = 0; types < 4; types++) {
        const int32_t from = types & 1 ? PRECIS_BFLOAT16 : PRECIS_FLOAT32;
        const int32_t to = types & 2 ? PRECIS_BFLOAT16 : PRECIS_FLOAT32;
        for (int32_t accumulate : {0, 1}) {
          if (accumulate && to == PRECIS_BFLOAT16) continue;
          GuardedTensor x(from, {m, width}, 3, 1), before(to, {m, width}), want(to, {m, width});
          x.fill_normal(random);
          before.fill_normal(random);
          copy(before, want);
          precis_dropout_args args = {};
          args.x = x;
          args.y = want;
          args.seed = random.next();
          args.offset = random.next();
          args.probability = probability;
          args.accumulate = accumulate;
          GuardedTensor names(PRECIS_INT64, {m}, 0, 1);
          for (int64_t r = 0; r < m; r++) {
            names.data<int64_t>()[r] = static_cast<int64_t>(random.next());
          }
          if (types % 2 == accumulate) args.dropout_rows = names;
          dropout_ref(args);
          for (TestContext& context : all_contexts()) {
            GuardedTensor y(to, {m, width}, 2, 3);
            copy(before, y);
            args.y = y;
            EXPECT_OK(context, precis_dropout(context, &args));
            EXPECT(y.intact(), "%s width %lld", context.name(), static_cast<long long>(width));
            expect_close(y, want, rounding(to), 1e-6, context.name());
            // Dropped elements are exactly zero.
            int64_t differ = 0;
            for (int64_t r = 0; r < m && !accumulate; r++) {
              for (int64_t c = 0; c < width; c++) {
                differ += (want.at(r, c) == 0) != (y.at(r, c) == 0);
              }
            }
            EXPECT(differ == 0, "%s width %lld: %lld of the mask differ", context.name(),
                   static_cast<long long>(width), static_cast<long long>(differ));
          }
        }
      }
    }
  }
  for (TestContext& context : all_contexts()) {
    for (float probability : {0.1f, 0.5f, 0.9f}) check_rate(context, probability);
    check_rows(context);

    // In place; dropped elements are zero even where they were not finite.
    GuardedTensor x(PRECIS_FLOAT32, {3, 70}, 1, 1), want(PRECIS_FLOAT32, {3, 70});
    x.fill(NAN);
    precis_dropout_args args = {x, want, 1, 2, 0.5f, 0, {}};
    dropout_ref(args);
    args.y = x;
    EXPECT_OK(context, precis_dropout(context, &args));
    EXPECT(x.intact(), "%s", context.name());
    expect_close(x, want, 0, 0, context.name());

    GuardedTensor narrow(PRECIS_FLOAT32, {2, 4});
    args = {narrow, narrow, 1, 2, 1.0f, 0, {}};
    EXPECT_REFUSED(context, precis_dropout(context, &args), "probability is 1");
    args.probability = -0.1f;
    EXPECT_REFUSED(context, precis_dropout(context, &args), "probability is -0.1");
    args.probability = NAN;
    EXPECT_REFUSED(context, precis_dropout(context, &args), "probability is nan");
    args.probability = 0.5f;
    args.accumulate = 1;
    EXPECT_REFUSED(context, precis_dropout(context, &args), "y overlaps x");
    GuardedTensor half(PRECIS_BFLOAT16, {2, 4});
    args.y = half;
    EXPECT_REFUSED(context, precis_dropout(context, &args), "accumulate needs y in float32");
    args.accumulate = 0;
    args.y.dims[1] = 3;
    EXPECT_REFUSED(context, precis_dropout(context, &args), "y has 3");
  }
  return test_result();
}
