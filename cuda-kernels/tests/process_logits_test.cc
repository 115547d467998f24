// The kernel must be bitwise identical to process_logits_ref.

#include "ops/process_logits.h"

#include "device_test.h"

using namespace precis;

namespace {

constexpr int64_t kStride = 67;

// A history of few distinct tokens, so that they and their n-grams repeat.
struct Input {
  Input(int64_t m, int64_t v, Random& random)
      : history(m * kStride, -5), lengths(m), ends({0, static_cast<int32_t>(v - 1)}) {
    const int64_t distinct = v < 4 ? v : 4;
    for (int64_t r = 0; r < m; r++) {
      lengths[r] = static_cast<int32_t>(r % 5 == 4 ? r % 3 : random.below(kStride + 1));
      for (int32_t h = 0; h < lengths[r]; h++) {
        history[r * kStride + h] = static_cast<int32_t>(random.below(distinct) * v / distinct);
      }
    }
  }
  std::vector<int32_t> history, lengths, ends;
};

void same_as_reference(TestDevice& device, int64_t m, int64_t v, int32_t ngram, float penalty,
                       Random& random) {
  const Input in(m, v, random);
  DeviceArray<int32_t> history(in.history), lengths(in.lengths), ends(in.ends);
  GuardedTensor scores(PRECIS_FLOAT32, {m, v}, 3, 1), want(PRECIS_FLOAT32, {m, v});
  scores.fill_normal(random, 3);
  row<float>(scores, 0)[0] = -INFINITY;
  row<float>(scores, 0)[v / 2] = 0;
  for (int64_t r = 0; r < m; r++) {
    std::memcpy(row<float>(want, r), row<float>(scores, r), v * sizeof(float));
  }
  OnDevice scores_(scores);
  precis_logit_rules rules = {history, lengths, kStride,         ends,   2,
                              penalty, ngram,   m == 3 ? 20 : 0, nullptr};
  // Many rows have rules of their own.
  std::vector<precis_row_rules> of_rows(m);
  for (int64_t r = 0; r < m; r++) {
    of_rows[r] = {r % 3 == 0 ? 1 : penalty, r % 4 == 1 ? ngram : 0, r % 5 == 2 ? 30 : 0, 0};
  }
  DeviceArray<precis_row_rules> row_rules(of_rows);
  if (m > 3) rules.row_rules = row_rules;
  EXPECT_RUN(device, process_logits_cuda(device.context(), {scores_, rules}));
  scores_.download();
  rules.history = in.history.data();
  rules.history_lengths = in.lengths.data();
  rules.end_tokens = in.ends.data();
  if (m > 3) rules.row_rules = of_rows.data();
  process_logits_ref({want, rules});
  expect_close(scores, want, 0, 0, device.name());
  EXPECT(device.problem() == kNoProblem, "%s", device.name());
}

// Bad ids and lengths are reported with the row, and the row is not changed.
void refusals(TestDevice& device) {
  struct Bad {
    int32_t id, length, end;
    ProblemKind kind;
  };
  for (const Bad& bad : {Bad{8, 3, 7, ProblemKind::kId}, Bad{-1, 3, 7, ProblemKind::kId},
                         Bad{1, 4, 7, ProblemKind::kLength}, Bad{1, -1, 7, ProblemKind::kLength}}) {
    GuardedTensor scores(PRECIS_FLOAT32, {2, 8});
    scores.fill(1);
    DeviceArray<int32_t> history({1, 2, 3, 4, 5, bad.id}), lengths({3, bad.length});
    DeviceArray<int32_t> ends({bad.end});
    OnDevice scores_(scores);
    const precis_process_logits_args args = {scores_,
                                             {history, lengths, 3, ends, 1, 2.0f, 2, 0, nullptr}};
    EXPECT_RUN(device, process_logits_cuda(device.context(), args));
    EXPECT(device.problem() == problem_code(ProblemOp::kProcessLogits, 1, bad.kind));
    scores_.download();
    EXPECT(scores.at(0, 1) == 0.5f && scores.at(0, 4) == 1 && scores.at(1, 5) == 1);
  }
  GuardedTensor scores(PRECIS_FLOAT32, {1, 8});
  scores.fill(1);
  DeviceArray<int32_t> lengths({1}), ends({3, 8});
  OnDevice scores_(scores);
  precis_process_logits_args args = {scores_, {nullptr, lengths, 3, ends, 2, 1, 0, 5, nullptr}};
  EXPECT_RUN(device, process_logits_cuda(device.context(), args));
  EXPECT(device.problem() == problem_code(ProblemOp::kProcessLogits, 0, ProblemKind::kId));
  args.rules.end_token_count = 1;
  EXPECT_RUN(device, process_logits_cuda(device.context(), args));
  scores_.download();
  EXPECT(scores.at(0, 3) == -INFINITY && scores.at(0, 4) == 1);
  // Rules in device memory, where the host has not checked them.
  for (const precis_row_rules bad :
       {precis_row_rules{0, 0, 0, 0}, precis_row_rules{NAN, 0, 0, 0}, precis_row_rules{1, -1, 0, 0},
        precis_row_rules{1, 0, -1, 0}}) {
    DeviceArray<precis_row_rules> row_rules({bad});
    args.rules.row_rules = row_rules;
    EXPECT_RUN(device, process_logits_cuda(device.context(), args));
    EXPECT(device.problem() == problem_code(ProblemOp::kProcessLogits, 0, ProblemKind::kParameter));
  }
  args.rules = {nullptr, nullptr, 0, nullptr, 0, 1, 0, 0, nullptr};
  EXPECT_RUN(device, process_logits_cuda(device.context(), args));
}

}  // namespace

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(6);
    for (int64_t v : {1, 2, 7, 257, 5000}) {
      for (int64_t m : {1, 3, 17}) {
        for (int32_t ngram : {0, 1, 2, 3, 5}) {
          for (float penalty : {1.0f, 1.4f, 0.7f}) {
            if (v == 5000 && m > 3) continue;
            same_as_reference(device, m, v, ngram, penalty, random);
          }
        }
      }
    }
    refusals(device);
  });
}
