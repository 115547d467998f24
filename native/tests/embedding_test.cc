#include "ops/embedding.h"

#include <algorithm>

#include "test.h"

using namespace precis;

namespace {

// Rows of the table, some twice, go to rows of y in another order; the others of y stay.
void chosen_rows(TestContext& context, Random& random) {
  constexpr int64_t kFrom = 9, kTo = 14, kCount = 11;
  GuardedTensor ids(PRECIS_INT32, {kCount}), rows(PRECIS_INT32, {kCount});
  const int32_t from[kCount] = {8, 0, 0, 3, 7, 7, 7, 1, 2, 5, 8};
  const int32_t to[kCount] = {13, 0, 4, 3, 1, 12, 11, 2, 8, 9, 10};
  std::copy_n(from, kCount, ids.data<int32_t>());
  std::copy_n(to, kCount, rows.data<int32_t>());
  for (int64_t width : {1, 40, 1000}) {
    for (int32_t table_type : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (int32_t y_type : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        GuardedTensor table(table_type, {kFrom, width}, 3, 1), y(y_type, {kTo, width}, 5, 3);
        GuardedTensor want(y_type, {kTo, width});
        table.fill_normal(random);
        y.fill(0.75f);
        want.fill(0.75f);
        precis_embedding_args args = {table, ids, y, rows};
        EXPECT_OK(context, precis_embedding(context, &args));
        EXPECT(y.intact());
        args.y = want;
        embedding_ref(args);
        expect_close(y, want, 0, 0, context.name());
        EXPECT(y.at(12, 0) == y.at(1, 0) && y.at(5, 0) == 0.75f);
      }
    }
  }
  GuardedTensor table(PRECIS_FLOAT32, {kFrom, 8}), y(PRECIS_FLOAT32, {kTo, 8});
  y.fill(0.75f);
  precis_embedding_args args = {table, ids, y, rows};
  rows.data<int32_t>()[10] = kTo;
  EXPECT_REFUSED(context, precis_embedding(context, &args),
                 "y_rows[10] is 14, outside y's 14 rows");
  EXPECT(y.at(13, 0) == 0.75f, "a row was wrong and yet rows were written");
  args.y_rows.dims[0] = kCount - 1;
  EXPECT_REFUSED(context, precis_embedding(context, &args), "y_rows has 10");
  args.y_rows = {};
  EXPECT_REFUSED(context, precis_embedding(context, &args), "y has 14");
}

}  // namespace

int main() {
  Random random(3);
  for (TestContext& context : all_contexts()) {
    for (int64_t width : {1, 7, 8, 15, 16, 17, 65, 768}) {
      for (int64_t count : {0, 1, 3, 130}) {
        for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          GuardedTensor table(dtype, {37, width}, 3, 1), ids(PRECIS_INT32, {count});
          GuardedTensor y(PRECIS_FLOAT32, {count, width}, 2, 3);
          GuardedTensor want(PRECIS_FLOAT32, {count, width});
          table.fill_normal(random);
          for (int64_t t = 0; t < count; t++) {
            ids.data<int32_t>()[t] = static_cast<int32_t>(random.below(37));
          }
          if (count > 1) ids.data<int32_t>()[1] = 36;
          precis_embedding_args args = {table, ids, y, {}};
          EXPECT_OK(context, precis_embedding(context, &args));
          EXPECT(y.intact(), "%s width %lld", context.name(), static_cast<long long>(width));
          args.y = want;
          embedding_ref(args);
          expect_close(y, want, 0, 0, context.name());
        }
      }
    }
    chosen_rows(context, random);
    GuardedTensor table(PRECIS_FLOAT32, {4, 8}), ids(PRECIS_INT32, {3});
    GuardedTensor y(PRECIS_FLOAT32, {3, 8});
    table.fill(1);
    y.fill(5);
    precis_embedding_args args = {table, ids, y, {}};
    for (int32_t bad : {-1, 4, INT32_MAX, INT32_MIN}) {
      ids.data<int32_t>()[0] = ids.data<int32_t>()[1] = 0;
      ids.data<int32_t>()[2] = bad;
      EXPECT_REFUSED(context, precis_embedding(context, &args), "ids[2] is ");
      EXPECT_REFUSED(context, precis_embedding(context, &args), std::to_string(bad).c_str());
    }
    EXPECT(y.at(0, 0) == 5, "an id was wrong and yet rows were written");
    args.y.data = table.tensor().data;
    args.y.dims[0] = args.ids.dims[0] = 2;
    EXPECT_REFUSED(context, precis_embedding(context, &args), "y overlaps table");
    args.y.dims[1] = 9;
    args.y.row_stride = 0;
    EXPECT_REFUSED(context, precis_embedding(context, &args), "y has 9");
  }
  return test_result();
}
