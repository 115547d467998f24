// embedding and embedding_backward.

#include "ops/embedding.h"

#include "device_test.h"
#include "ops/embedding_backward.h"

using namespace precis;

namespace {

void backward(TestDevice& device, int64_t tokens, int64_t width, int32_t dtype, Random& random) {
  const int64_t vocabulary = 7;
  GuardedTensor ids(PRECIS_INT32, {tokens}), dy(dtype, {tokens, width}, 3, 1);
  GuardedTensor dtable(PRECIS_FLOAT32, {vocabulary, width}, 1, 2);
  GuardedTensor want(PRECIS_FLOAT32, {vocabulary, width});
  dy.fill_normal(random);
  dtable.fill(2);
  want.fill(2);
  for (int64_t t = 0; t < tokens; t++) {
    ids.data<int32_t>()[t] = static_cast<int32_t>(random.below(vocabulary));
  }
  OnDevice ids_(ids), dy_(dy), dtable_(dtable);
  EXPECT_RUN(device, embedding_backward_cuda(device.context(), {ids_, dy_, dtable_}));
  dtable_.download();
  embedding_backward_ref({ids, dy, want});
  // The reference too adds token by token and rounds each sum.
  expect_close(dtable, want, 0, 0, device.name());
  EXPECT(device.problem() == kNoProblem);
  if (tokens < 2) return;
  ids.data<int32_t>()[1] = vocabulary;
  ids_.upload();
  EXPECT_RUN(device, embedding_backward_cuda(device.context(), {ids_, dy_, dtable_}));
  EXPECT(device.problem() == (2ull << 56 | 1 << 8 | 4));
}

}  // namespace

int main() {
  TestDevice device;
  if (!device.open()) return device.skip();
  while (device.next_order()) {
    Random random(3);
    for (int64_t width : {1, 130}) {
      for (int64_t tokens : {0, 1, 40, 150}) {
        for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          backward(device, tokens, width, dtype, random);
        }
      }
    }
    for (int64_t width : {1, 8, 17, 264, 768}) {
      for (int64_t tokens : {0, 1, 6, 67}) {
        for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          const int64_t vocabulary = 29;
          GuardedTensor table(dtype, {vocabulary, width}, width % 8, width % 8);
          GuardedTensor y(PRECIS_FLOAT32, {tokens, width}, 0, width % 8);
          GuardedTensor want(PRECIS_FLOAT32, {tokens, width});
          GuardedTensor ids(PRECIS_INT32, {tokens});
          table.fill_normal(random);
          for (int64_t t = 0; t < tokens; t++) {
            ids.data<int32_t>()[t] = static_cast<int32_t>(random.below(vocabulary));
          }
          embedding_ref({table, ids, want});
          OnDevice table_(table), ids_(ids), y_(y);
          EXPECT_RUN(device, embedding_cuda(device.context(), {table_, ids_, y_}));
          y_.download();
          expect_close(y, want, 0, 0, device.name());
          EXPECT(device.problem() == kNoProblem);
          // Of several bad ids the first is named; the other rows are right.
          if (tokens < 6) continue;
          ids.data<int32_t>()[5] = -1;
          ids.data<int32_t>()[2] = vocabulary;
          ids_.upload();
          EXPECT_RUN(device, embedding_cuda(device.context(), {table_, ids_, y_}));
          EXPECT(device.problem() == (1ull << 56 | 2 << 8 | 4));
          y_.download();
          for (int64_t d = 0; d < width; d++) {
            store_element(want, 2, d, 0);
            store_element(want, 5, d, 0);
          }
          expect_close(y, want, 0, 0, device.name());
        }
      }
    }
  }
  return test_result();
}
