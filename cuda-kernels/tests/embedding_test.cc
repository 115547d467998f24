#include "ops/embedding.h"

#include "device_test.h"

using namespace precis;

int main() {
  TestDevice device;
  if (!device.open()) return device.skip();
  while (device.next_order()) {
    Random random(3);
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
