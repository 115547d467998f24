// The kernel must be bitwise identical to sample_ref, like the CPU's kernels: every device samples the
// same tokens. The native test checks that samples follow the distribution.

#include "ops/sample.h"

#include <numeric>

#include "device_test.h"
#include "sample_cases.h"

using namespace precis;

namespace {

using Options = SampleOptions;

// The inputs of a call, on the host.
struct Input {
  Input(int64_t m, int64_t v, int kind, Random& random)
      : logits(PRECIS_FLOAT32, {m, v}, 3, 1),
        streams(m),
        offsets(m),
        history(m * kHistory),
        lengths(m),
        ends({0, 3, 1}) {
    std::iota(streams.begin(), streams.end(), uint64_t{1} << 33);
    fill_sample_inputs(random, kind, logits, offsets, history, lengths);
  }

  GuardedTensor logits;
  std::vector<uint64_t> streams, offsets;
  std::vector<int32_t> history, lengths, ends;
};

precis_sample_args arguments(const Options& o) {
  precis_sample_args args = {};
  put_options(o, args);
  args.rules.end_token_count = 3;
  return args;
}

void same_as_reference(TestDevice& device, int64_t v, const Options& o, int kind, Random& random) {
  const int64_t m = v > 5000 ? 1 : 2;
  Input in(m, v, kind, random);
  GuardedTensor probabilities(PRECIS_FLOAT32, {m, v}, 1, 3),
      want_probabilities(PRECIS_FLOAT32, {m, v});
  OnDevice logits_(in.logits), probabilities_(probabilities);
  DeviceArray<uint64_t> streams(in.streams), offsets(in.offsets);
  DeviceArray<int32_t> history(in.history), lengths(in.lengths), ends(in.ends);
  DeviceArray<int32_t> tokens(std::vector<int32_t>(m, -7)),
      bare_tokens(std::vector<int32_t>(m, -7));
  DeviceArray<float> raw(std::vector<float>(m, 7)), warped(std::vector<float>(m, 7));

  precis_sample_args args = arguments(o);
  args.logits = logits_;
  args.rules.history = history;
  args.rules.history_lengths = lengths;
  args.rules.end_tokens = ends;
  args.streams = streams;
  args.offsets = offsets;
  // The token does not depend on which outputs are requested.
  args.tokens = bare_tokens;
  EXPECT_RUN(device, sample_cuda(device.context(), args));
  logits_.upload();
  args.tokens = tokens;
  args.log_probabilities = raw;
  args.warped_log_probabilities = warped;
  args.probabilities = probabilities_;
  EXPECT_RUN(device, sample_cuda(device.context(), args));
  EXPECT(device.problem() == kNoProblem);

  GuardedTensor want_logits(PRECIS_FLOAT32, {m, v});
  for (int64_t r = 0; r < m; r++) {
    std::memcpy(row<float>(want_logits, r), row<float>(in.logits, r), v * sizeof(float));
  }
  std::vector<int32_t> want_tokens(m);
  std::vector<float> want_raw(m), want_warped(m);
  precis_sample_args want = arguments(o);
  want.logits = want_logits;
  want.rules.history = in.history.data();
  want.rules.history_lengths = in.lengths.data();
  want.rules.end_tokens = in.ends.data();
  want.streams = in.streams.data();
  want.offsets = in.offsets.data();
  want.tokens = want_tokens.data();
  want.log_probabilities = want_raw.data();
  want.warped_log_probabilities = want_warped.data();
  want.probabilities = want_probabilities;
  sample_ref(want);

  const std::string what = std::string(device.name()) + " v " + std::to_string(v) + " options " +
                           std::to_string(&o - kSampleOptions) + " kind " + std::to_string(kind);
  EXPECT(tokens.get() == want_tokens && bare_tokens.get() == want_tokens, "%s", what.c_str());
  EXPECT(raw.get() == want_raw && warped.get() == want_warped, "%s", what.c_str());
  probabilities_.download();
  expect_close(probabilities, want_probabilities, 0, 0, what.c_str());
  logits_.download();  // the rules change them in place
  expect_close(in.logits, want_logits, 0, 0, what.c_str());
}

// Rows with options of their own, in one call.
void rows_of_different_options(TestDevice& device, int64_t v, Random& random) {
  const auto m = static_cast<int64_t>(std::size(kSampleOptions));
  Input in(m, v, 0, random);
  std::vector<precis_row_sampling> sampling;
  std::vector<precis_row_rules> rules;
  for (const Options& o : kSampleOptions) {
    const auto seed = static_cast<uint64_t>(sampling.size());
    sampling.push_back({seed, o.temperature, o.top_k, o.top_p, o.greedy});
    rules.push_back({o.repetition_penalty, o.no_repeat_ngram_size, o.min_new_tokens, 0});
  }
  OnDevice logits(in.logits);
  DeviceArray<precis_row_sampling> row_sampling(sampling);
  DeviceArray<precis_row_rules> row_rules(rules);
  DeviceArray<uint64_t> streams(in.streams), offsets(in.offsets);
  DeviceArray<int32_t> history(in.history), lengths(in.lengths), ends(in.ends);
  DeviceArray<int32_t> tokens(std::vector<int32_t>(m, -7));
  DeviceArray<float> raw(std::vector<float>(m, 7)), warped(std::vector<float>(m, 7));
  precis_sample_args args = arguments({});
  args.logits = logits;
  args.rules.history = history;
  args.rules.history_lengths = lengths;
  args.rules.end_tokens = ends;
  args.rules.row_rules = row_rules;
  args.row_sampling = row_sampling;
  args.streams = streams;
  args.offsets = offsets;
  args.tokens = tokens;
  args.log_probabilities = raw;
  args.warped_log_probabilities = warped;
  EXPECT_RUN(device, sample_cuda(device.context(), args));
  EXPECT(device.problem() == kNoProblem);

  std::vector<int32_t> want_tokens(m);
  std::vector<float> want_raw(m), want_warped(m);
  precis_sample_args want = arguments({});
  want.logits = in.logits;
  want.rules.history = in.history.data();
  want.rules.history_lengths = in.lengths.data();
  want.rules.end_tokens = in.ends.data();
  want.rules.row_rules = rules.data();
  want.row_sampling = sampling.data();
  want.streams = in.streams.data();
  want.offsets = in.offsets.data();
  want.tokens = want_tokens.data();
  want.log_probabilities = want_raw.data();
  want.warped_log_probabilities = want_warped.data();
  sample_ref(want);
  EXPECT(tokens.get() == want_tokens, "%s v %lld", device.name(), static_cast<long long>(v));
  EXPECT(raw.get() == want_raw && warped.get() == want_warped, "%s v %lld", device.name(),
         static_cast<long long>(v));
}

void refusals(TestDevice& device, Random& random) {
  const struct {
    float value;
    ProblemKind problem;
  } bad[] = {{NAN, ProblemKind::kNan},
             {INFINITY, ProblemKind::kPositiveInfinity},
             {-INFINITY, ProblemKind::kNothingFinite}};
  for (const auto& b : bad) {
    Input in(4, 70, 0, random);
    for (int64_t i = 0; i < 70; i++) {
      if (i == 17 || b.problem == ProblemKind::kNothingFinite)
        store_element(in.logits, 2, i, b.value);
    }
    OnDevice logits(in.logits);
    DeviceArray<int32_t> tokens(std::vector<int32_t>(4, -7));
    precis_sample_args args = arguments({.greedy = 1});
    args.logits = logits;
    args.tokens = tokens;
    EXPECT_RUN(device, sample_cuda(device.context(), args));
    EXPECT(device.problem() == problem_code(ProblemOp::kSample, 2, b.problem));
    const std::vector<int32_t> got = tokens.get();
    EXPECT(got[0] >= 0 && got[2] == 0 && got[3] >= 0);
  }
  // A history with an id outside the vocabulary.
  Input in(2, 70, 0, random);
  in.lengths = {2, 3};
  in.history[kHistory + 2] = 70;
  OnDevice logits(in.logits);
  DeviceArray<int32_t> tokens({-7, -7}), history(in.history), lengths(in.lengths), ends(in.ends);
  precis_sample_args args = arguments({.greedy = 1, .repetition_penalty = 2});
  args.logits = logits;
  args.rules.history = history;
  args.rules.history_lengths = lengths;
  args.rules.end_tokens = ends;
  args.tokens = tokens;
  EXPECT_RUN(device, sample_cuda(device.context(), args));
  EXPECT(device.problem() == problem_code(ProblemOp::kSample, 1, ProblemKind::kId));
  EXPECT(tokens.get()[0] >= 0 && tokens.get()[1] == 0);
}

}  // namespace

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(8);
    const int64_t shared_bytes = device.context().block_shared_bytes;
    for (int64_t v : {1, 2, 64, 65, 257, 5000, 32128}) {
      for (const Options& o : kSampleOptions) {
        for (int kind = 0; kind < 4; kind++) {
          // Long rows are slow to emulate, so each has one kind.
          if (v >= 5000 && kind != (&o - kSampleOptions) % 4) continue;
          if (v < 6 && (o.no_repeat_ngram_size > 0 || o.min_new_tokens > 0)) continue;
          same_as_reference(device, v, o, kind, random);
          if (v != 257) continue;
          // Once more without shared memory for the row.
          device.context().block_shared_bytes = 0;
          same_as_reference(device, v, o, kind, random);
          device.context().block_shared_bytes = shared_bytes;
        }
      }
    }
    for (int64_t v : {6, 257}) rows_of_different_options(device, v, random);
    refusals(device, random);
  });
}
