#include "ops/embedding_backward.h"

#include "ops/embedding.h"
#include "test.h"

using namespace precis;

namespace {

// Compares the reference with differences of the forward reference, with an id that occurs twice.
void check_reference(Random& random) {
  GuardedTensor table(kReferenceFloat64, {4, 3}), dtable(kReferenceFloat64, {4, 3});
  GuardedTensor ids(PRECIS_INT32, {5}), y(kReferenceFloat64, {5, 3}), dy(kReferenceFloat64, {5, 3});
  const int32_t chosen[] = {2, 0, 2, 3, 2};
  std::memcpy(ids.data<int32_t>(), chosen, sizeof chosen);
  table.fill_normal(random);
  dy.fill_normal(random);
  dtable.fill(0);
  precis_embedding_args forward = {table, ids, y, {}};
  precis_embedding_backward_args backward = {ids, dy, dtable};
  embedding_backward_ref(backward);
  auto loss = [&] {
    embedding_ref(forward);
    return inner_product(dy, y);
  };
  expect_gradient(dtable, table, loss, "embedding_backward_ref");
}

}  // namespace

int main() {
  Random random(16);
  check_reference(random);
  for (int64_t width : {0, 1, 7, 16, 17, 33, 65, 768}) {
    for (int64_t count : {0, 1, 3, 130, 1000}) {
      for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        GuardedTensor ids(PRECIS_INT32, {count}), dy(dtype, {count, width}, 2, 3);
        GuardedTensor want(PRECIS_FLOAT32, {37, width}), first(PRECIS_FLOAT32, {37, width});
        dy.fill_normal(random);
        want.fill(2);
        for (int64_t t = 0; t < count; t++) {
          ids.data<int32_t>()[t] = static_cast<int32_t>(random.below(t % 2 == 0 ? 37 : 2));
        }
        precis_embedding_backward_args args = {ids, dy, want};
        embedding_backward_ref(args);
        bool later = false;
        for (TestContext& context : all_contexts()) {
          GuardedTensor dtable(PRECIS_FLOAT32, {37, width}, 3, 1);
          dtable.fill(2);
          args.dtable = dtable;
          EXPECT_OK(context, precis_embedding_backward(context, &args));
          EXPECT(dtable.intact(), "%s width %lld", context.name(), static_cast<long long>(width));
          // The reference also rounds after every token.
          expect_close(dtable, want, 0, 0, context.name());
          if (later) expect_close(dtable, first, 0, 0, context.name());
          for (int64_t r = 0; r < 37; r++) {
            std::memcpy(row<float>(first, r), row<float>(dtable, r), width * sizeof(float));
          }
          later = true;
        }
      }
    }
  }
  for (TestContext& context : all_contexts()) {
    GuardedTensor ids(PRECIS_INT32, {3}), dy(PRECIS_FLOAT32, {3, 8});
    GuardedTensor dtable(PRECIS_FLOAT32, {4, 8});
    dy.fill(1);
    dtable.fill(5);
    precis_embedding_backward_args args = {ids, dy, dtable};
    for (int32_t bad : {-1, 4, INT32_MAX, INT32_MIN}) {
      ids.data<int32_t>()[0] = ids.data<int32_t>()[1] = 0;
      ids.data<int32_t>()[2] = bad;
      EXPECT_REFUSED(context, precis_embedding_backward(context, &args), "ids[2] is ");
      EXPECT_REFUSED(context, precis_embedding_backward(context, &args),
                     std::to_string(bad).c_str());
    }
    EXPECT(dtable.at(0, 0) == 5, "an id was wrong and yet rows were added to");
    args.dtable = dy;
    EXPECT_REFUSED(context, precis_embedding_backward(context, &args), "dtable overlaps dy");
    args.dtable = dtable;
    args.dy.dims[1] = 7;
    EXPECT_REFUSED(context, precis_embedding_backward(context, &args), "dy has 7");
    args.ids.dims[0] = 2;
    EXPECT_REFUSED(context, precis_embedding_backward(context, &args), "dy has 3");
  }
  return test_result();
}
