// The kernel must be bitwise identical to sample_ref, like the CPU's kernels: every device samples the
// same tokens. The native test checks that samples follow the distribution.

#include "ops/sample.h"

#include <numeric>

#include "device_test.h"
#include "sample_cases.h"
#include "sample_clusters.h"

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

// The numbers of blocks that share a row: as sample_cuda chooses, and, where there are clusters, all.
constexpr int kChosen = 0;
std::vector<int> cluster_sizes() {
  return has_wgmma() ? std::vector<int>{kChosen, 1, 2, 4, 8} : std::vector<int>{kChosen, 1};
}

cudaError_t sample(TestDevice& device, const precis_sample_args& args, int blocks) {
  return blocks == kChosen ? sample_cuda(device.context(), args)
                           : sample_in_clusters(device.context(), args, blocks);
}

void same_as_reference(TestDevice& device, int64_t v, const Options& o, int kind, Random& random,
                       const std::vector<int>& sizes) {
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

  // All numbers of blocks give the reference's bits, and so each other's.
  GuardedTensor before(PRECIS_FLOAT32, {m, v});
  copy_elements(in.logits, before);
  for (int blocks : sizes) {
    const std::string what = std::string(device.name()) + " v " + std::to_string(v) + " options " +
                             std::to_string(&o - kSampleOptions) + " kind " + std::to_string(kind) +
                             " blocks " + std::to_string(blocks);
    // The token does not depend on which outputs are requested.
    args.tokens = bare_tokens;
    args.log_probabilities = args.warped_log_probabilities = nullptr;
    args.probabilities = {};
    copy_elements(before, in.logits);
    logits_.upload();
    EXPECT_RUN(device, sample(device, args, blocks));
    logits_.upload();
    args.tokens = tokens;
    args.log_probabilities = raw;
    args.warped_log_probabilities = warped;
    args.probabilities = probabilities_;
    EXPECT_RUN(device, sample(device, args, blocks));
    EXPECT(device.problem() == kNoProblem);
    EXPECT(tokens.get() == want_tokens && bare_tokens.get() == want_tokens, "%s", what.c_str());
    EXPECT(raw.get() == want_raw && warped.get() == want_warped, "%s", what.c_str());
    probabilities_.download();
    expect_close(probabilities, want_probabilities, 0, 0, what.c_str());
    logits_.download();  // the rules change them in place
    expect_close(in.logits, want_logits, 0, 0, what.c_str());
  }
}

// Rows with options of their own, in one call.
void rows_of_different_options(TestDevice& device, int64_t v, Random& random, int blocks) {
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
  EXPECT_RUN(device, sample(device, args, blocks));
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

// A chain of steps, in which each appends what the next one reads, without the host.
void appends(TestDevice& device, Random& random, int blocks) {
  const int64_t m = 4, v = 257, steps = 5;
  Input in(m, v, 0, random);
  for (int64_t r = 0; r < m; r++) in.lengths[r] = static_cast<int32_t>(r * 6);
  OnDevice logits(in.logits);
  DeviceArray<uint64_t> streams(in.streams), offsets(in.offsets);
  DeviceArray<int32_t> history(in.history), lengths(in.lengths), ends(in.ends);
  DeviceArray<int32_t> tokens(std::vector<int32_t>(m, -7)), ids(std::vector<int32_t>(m, -7));
  DeviceArray<float> raw(std::vector<float>(m, 7));
  precis_sample_args args = arguments({.temperature = 1.3f, .repetition_penalty = 1.4f});
  args.logits = logits;
  args.rules.history = args.next_history = history;
  args.rules.history_lengths = args.next_lengths = lengths;
  args.rules.end_tokens = ends;
  args.streams = streams;
  args.offsets = args.next_offsets = offsets;
  args.tokens = tokens;
  args.log_probabilities = raw;
  args.next_ids = ids;
  precis_sample_args want = arguments({.temperature = 1.3f, .repetition_penalty = 1.4f});
  std::vector<int32_t> want_tokens(m), want_ids(m);
  std::vector<float> want_raw(m);
  want.logits = in.logits;
  want.rules.history = want.next_history = in.history.data();
  want.rules.history_lengths = want.next_lengths = in.lengths.data();
  want.rules.end_tokens = in.ends.data();
  want.streams = in.streams.data();
  want.offsets = want.next_offsets = in.offsets.data();
  want.tokens = want_tokens.data();
  want.log_probabilities = want_raw.data();
  want.next_ids = want_ids.data();
  for (int64_t step = 0; step < steps; step++) {
    EXPECT_RUN(device, sample(device, args, blocks));
    sample_ref(want);
    EXPECT(tokens.get() == want_tokens && ids.get() == want_ids && raw.get() == want_raw, "%s",
           device.name());
    EXPECT(
        lengths.get() == in.lengths && history.get() == in.history && offsets.get() == in.offsets,
        "%s", device.name());
  }
  EXPECT(device.problem() == kNoProblem);
}

// Rows with values in device memory that only the kernel can refuse; the others are sampled.
void refusals_in_device_memory(TestDevice& device, Random& random, int blocks) {
  const struct {
    precis_row_sampling sampling;
    precis_row_rules rules;
    uint64_t offset;
    int32_t length;
    ProblemKind problem;
  } bad[] = {{{1, 0, 0, 1, 0}, {1, 0, 0, 0}, 1, 1, ProblemKind::kParameter},
             {{1, NAN, 0, 1, 0}, {1, 0, 0, 0}, 1, 1, ProblemKind::kParameter},
             {{1, 1, -1, 1, 0}, {1, 0, 0, 0}, 1, 1, ProblemKind::kParameter},
             {{1, 1, 0, 1.5f, 0}, {1, 0, 0, 0}, 1, 1, ProblemKind::kParameter},
             {{1, 1, 0, 1, 0}, {0, 0, 0, 0}, 1, 1, ProblemKind::kParameter},
             {{1, 1, 0, 1, 0}, {1, -1, 0, 0}, 1, 1, ProblemKind::kParameter},
             {{1, 1, 0, 1, 0}, {1, 0, -1, 0}, 1, 1, ProblemKind::kParameter},
             {{1, 1, 0, 1, 0}, {1, 0, 0, 0}, uint64_t{1} << 32, 1, ProblemKind::kOffset},
             {{1, 1, 0, 1, 1}, {1, 0, 0, 0}, 1, kHistory, ProblemKind::kLength},
             {{1, 1, 0, 1, 1}, {1, 0, 0, 0}, 1, -1, ProblemKind::kLength}};
  for (const auto& b : bad) {
    Input in(2, 70, 0, random);
    in.lengths = {1, b.length};
    OnDevice logits(in.logits);
    DeviceArray<precis_row_sampling> row_sampling({{1, 1, 0, 1, 0}, b.sampling});
    DeviceArray<precis_row_rules> row_rules({{1, 0, 0, 0}, b.rules});
    DeviceArray<uint64_t> streams({1, 2}), offsets({1, b.offset});
    DeviceArray<int32_t> history(in.history), lengths(in.lengths), ends(in.ends);
    DeviceArray<int32_t> tokens({-7, -7}), ids({-7, -7});
    precis_sample_args args = arguments({});
    args.logits = logits;
    args.rules.row_rules = row_rules;
    args.rules.history = args.next_history = history;
    args.rules.history_lengths = args.next_lengths = lengths;
    args.rules.end_tokens = ends;
    args.row_sampling = row_sampling;
    args.streams = streams;
    args.offsets = args.next_offsets = offsets;
    args.tokens = tokens;
    args.next_ids = ids;
    EXPECT_RUN(device, sample(device, args, blocks));
    EXPECT(device.problem() == problem_code(ProblemOp::kSample, 1, b.problem), "%s case %td",
           device.name(), &b - bad);
    const std::vector<int32_t> got = tokens.get(), advanced = lengths.get();
    EXPECT(got[0] >= 0 && got[1] == 0 && ids.get()[0] == got[0] && ids.get()[1] == -7);
    EXPECT(advanced[0] == 2 && advanced[1] == b.length);
  }
}

void refusals(TestDevice& device, Random& random, int blocks) {
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
    EXPECT_RUN(device, sample(device, args, blocks));
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
  EXPECT_RUN(device, sample(device, args, blocks));
  EXPECT(device.problem() == problem_code(ProblemOp::kSample, 1, ProblemKind::kId));
  EXPECT(tokens.get()[0] >= 0 && tokens.get()[1] == 0);
}

// The number of blocks of a row on a GPU of 132 multiprocessors, of which a cluster of eight can have
// 128, and on small ones.
void chooses_blocks() {
  const struct {
    int multiprocessors;
    int64_t m, n;
    int most, want;
  } cases[] = {{132, 1, 32128, 8, 8},  {132, 16, 32128, 8, 8},  {132, 17, 32128, 8, 4},
               {132, 32, 32128, 8, 4}, {132, 33, 32128, 8, 2},  {132, 64, 32128, 8, 2},
               {132, 65, 32128, 8, 1}, {132, 128, 32128, 8, 1}, {132, 1, 32128, 1, 1},
               {132, 1, 384, 8, 1},    {3, 1, 32128, 8, 2},     {3, 2, 32128, 8, 1},
               {132, 1, 250112, 8, 8}};
  for (const auto& c : cases) {
    CudaContext context;
    context.multiprocessors = c.multiprocessors;
    const int got = blocks_of_sampled_row(context, c.m, c.n, c.most);
    EXPECT(got == c.want, "case %td: %d", &c - cases, got);
  }
}

}  // namespace

int main() {
  chooses_blocks();
  return run_test(3, [](TestDevice& device) {
    Random random(8);
    const std::vector<int> chosen = {kChosen}, ends = {kChosen, cluster_sizes().back()};
    const int64_t shared_bytes = device.context().block_shared_bytes;
    for (int64_t v : {1, 2, 64, 65, 257, 1000, 5000, 32128}) {
      for (const Options& o : kSampleOptions) {
        for (int kind = 0; kind < 4; kind++) {
          // Long rows are slow to emulate, so each has one kind, and so have all clusters.
          const bool one_of_four = kind == (&o - kSampleOptions) % 4;
          if (v >= 1000 && !one_of_four) continue;
          if (v < 6 && (o.no_repeat_ngram_size > 0 || o.min_new_tokens > 0)) continue;
          // In some of these clusters, blocks have no tokens.
          const bool all =
              one_of_four && (v == 2 || v == 65 || v == 1000 || (v == 5000 && kind == 3));
          same_as_reference(device, v, o, kind, random, all ? cluster_sizes() : chosen);
          if (v != 257) continue;
          // Once more without shared memory for the row.
          device.context().block_shared_bytes = 0;
          same_as_reference(device, v, o, kind, random, one_of_four ? ends : chosen);
          device.context().block_shared_bytes = shared_bytes;
        }
      }
    }
    for (int blocks : cluster_sizes()) {
      for (int64_t v : {6, 257}) rows_of_different_options(device, v, random, blocks);
      appends(device, random, blocks);
      refusals(device, random, blocks);
      refusals_in_device_memory(device, random, blocks);
    }
  });
}
