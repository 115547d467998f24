#include "ops/embedding_backward.h"

#include "device_test.h"

using namespace precis;

namespace {

void same_as_reference(TestDevice& device, int64_t tokens, int64_t width, int32_t dtype,
                       Random& random) {
  const int64_t vocabulary = 7;
  GuardedTensor ids = random_ids(tokens, vocabulary, random), dy(dtype, {tokens, width}, 3, 1);
  GuardedTensor dtable(PRECIS_FLOAT32, {vocabulary, width}, 1, 2);
  GuardedTensor want(PRECIS_FLOAT32, {vocabulary, width});
  dy.fill_normal(random);
  dtable.fill(2);
  want.fill(2);
  OnDevice ids_(ids), dy_(dy), dtable_(dtable);
  EXPECT_RUN(device, embedding_backward_cuda(device.context(), {ids_, dy_, dtable_}));
  dtable_.download();
  embedding_backward_ref({ids, dy, want});
  // The reference also adds token by token and rounds each sum.
  expect_close(dtable, want, 0, 0, device.name());
  EXPECT(device.problem() == kNoProblem);
  if (tokens < 2) return;
  ids.data<int32_t>()[1] = vocabulary;
  ids_.upload();
  EXPECT_RUN(device, embedding_backward_cuda(device.context(), {ids_, dy_, dtable_}));
  EXPECT(device.problem() == problem_code(ProblemOp::kEmbeddingBackward, 1, ProblemKind::kId));
}

}  // namespace

int main() {
  return run_test(4, [](TestDevice& device) {
    Random random(3);
    for (int64_t width : {1, 130}) {
      for (int64_t tokens : {0, 1, 40, 150}) {
        for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          same_as_reference(device, tokens, width, dtype, random);
        }
      }
    }
  });
}
