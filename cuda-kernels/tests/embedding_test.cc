#include "ops/embedding.h"

#include "device_test.h"

using namespace precis;

namespace {

void same_as_reference(TestDevice& device, int64_t tokens, int64_t width, int32_t dtype,
                       Random& random) {
  const int64_t vocabulary = 29;
  GuardedTensor table(dtype, {vocabulary, width}, width % 8, width % 8);
  GuardedTensor y(PRECIS_FLOAT32, {tokens, width}, 0, width % 8);
  GuardedTensor want(PRECIS_FLOAT32, {tokens, width});
  GuardedTensor ids = random_ids(tokens, vocabulary, random);
  table.fill_normal(random);
  embedding_ref({table, ids, want, {}});
  OnDevice table_(table), ids_(ids), y_(y);
  EXPECT_RUN(device, embedding_cuda(device.context(), {table_, ids_, y_, {}}));
  y_.download();
  expect_close(y, want, 0, 0, device.name());
  EXPECT(device.problem() == kNoProblem);
  // Of several bad ids the first is reported; the other rows are right.
  if (tokens < 6) return;
  ids.data<int32_t>()[5] = -1;
  ids.data<int32_t>()[2] = vocabulary;
  ids_.upload();
  EXPECT_RUN(device, embedding_cuda(device.context(), {table_, ids_, y_, {}}));
  EXPECT(device.problem() == problem_code(ProblemOp::kEmbedding, 2, ProblemKind::kId));
  y_.download();
  for (int64_t d = 0; d < width; d++) {
    store_element(want, 2, d, 0);
    store_element(want, 5, d, 0);
  }
  expect_close(y, want, 0, 0, device.name());
}

// Rows that are chosen on both sides; a row outside y is left out and reported.
void chosen_rows(TestDevice& device, int64_t width, int32_t y_type, Random& random) {
  constexpr int64_t kFrom = 9, kTo = 14;
  GuardedTensor table(PRECIS_FLOAT32, {kFrom, width}, width % 8, width % 8);
  GuardedTensor y(y_type, {kTo, width}, 0, width % 8), want(y_type, {kTo, width});
  GuardedTensor ids(PRECIS_INT32, {11}), to(PRECIS_INT32, {11});
  table.fill_normal(random);
  y.fill(0.75f);
  want.fill(0.75f);
  for (int32_t i = 0; i < 11; i++) {
    ids.data<int32_t>()[i] = i * i % 9;
    to.data<int32_t>()[i] = 12 - i;
  }
  embedding_ref({table, ids, want, to});
  OnDevice table_(table), ids_(ids), y_(y), to_(to);
  EXPECT_RUN(device, embedding_cuda(device.context(), {table_, ids_, y_, to_}));
  y_.download();
  expect_close(y, want, 0, 0, device.name());
  EXPECT(device.problem() == kNoProblem && y.at(0, 0) == 0.75f && y.at(13, 0) == 0.75f);
  to.data<int32_t>()[7] = kTo;
  to_.upload();
  EXPECT_RUN(device, embedding_cuda(device.context(), {table_, ids_, y_, to_}));
  EXPECT(device.problem() == problem_code(ProblemOp::kEmbedding, 7, ProblemKind::kId));
}

}  // namespace

int main() {
  return run_test(4, [](TestDevice& device) {
    Random random(3);
    for (int64_t width : {1, 8, 17, 264, 768}) {
      chosen_rows(device, width, PRECIS_FLOAT32, random);
      chosen_rows(device, width, PRECIS_BFLOAT16, random);
      for (int64_t tokens : {0, 1, 6, 67}) {
        for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          same_as_reference(device, tokens, width, dtype, random);
        }
      }
    }
  });
}
