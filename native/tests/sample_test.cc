// The kernels must be bitwise identical to sample_ref. The distribution is compared with double,
// and the samples with the distribution.

#include <numeric>

#include "sample_cases.h"

using namespace precis;

namespace {

using Options = SampleOptions;

// The arguments and everything that they point to.
struct Call {
  Call(int64_t m, int64_t v, const Options& o, bool wants_all = true)
      : logits(PRECIS_FLOAT32, {m, v}, 3, 1),
        probabilities(PRECIS_FLOAT32, {m, v}, 1, 3),
        streams(m),
        offsets(m),
        history(m * kHistory),
        lengths(m),
        tokens(m, -7),
        raw(m),
        warped(m) {
    std::iota(streams.begin(), streams.end(), uint64_t{1} << 33);
    args.logits = logits;
    args.rules.history = history.data();
    args.rules.history_lengths = lengths.data();
    args.rules.end_tokens = &end_token;
    args.rules.end_token_count = 1;
    put_options(o, args);
    args.streams = streams.data();
    args.offsets = offsets.data();
    args.tokens = tokens.data();
    if (!wants_all) return;
    args.log_probabilities = raw.data();
    args.warped_log_probabilities = warped.data();
    args.probabilities = probabilities;
  }

  void copy_inputs(const Call& other) {
    for (int64_t r = 0; r < rows(logits.tensor()); r++) {
      std::memcpy(row<float>(logits, r), row<float>(other.logits, r),
                  columns(logits.tensor()) * sizeof(float));
    }
    streams = other.streams;
    offsets = other.offsets;
    history = other.history;
    lengths = other.lengths;
    args.streams = streams.data();
    args.offsets = offsets.data();
    args.rules.history = history.data();
    args.rules.history_lengths = lengths.data();
  }

  bool same_outputs(const Call& other) const {
    bool same = tokens == other.tokens;
    same &= std::memcmp(raw.data(), other.raw.data(), raw.size() * sizeof(float)) == 0;
    same &= std::memcmp(warped.data(), other.warped.data(), warped.size() * sizeof(float)) == 0;
    for (int64_t r = 0; args.probabilities.data != nullptr && r < rows(logits.tensor()); r++) {
      same &= std::memcmp(row<float>(probabilities, r), row<float>(other.probabilities, r),
                          columns(logits.tensor()) * sizeof(float)) == 0;
    }
    return same;
  }

  GuardedTensor logits, probabilities;
  std::vector<uint64_t> streams, offsets;
  std::vector<int32_t> history, lengths, tokens;
  std::vector<float> raw, warped;
  int32_t end_token = 0;
  precis_sample_args args = {};
};

void fill(Call& call, Random& random, int kind) {
  fill_sample_inputs(random, kind, call.logits, call.offsets, call.history, call.lengths);
}

// The distribution of one row of logits in double, warped like transformers' warpers.
std::vector<double> exact_distribution(const float* logits, int64_t n, const Options& o) {
  std::vector<double> z(logits, logits + n);
  for (double& x : z) x /= o.temperature;
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return z[i] < z[j]; });
  if (o.top_k > 0 && o.top_k < n) {
    const double least = z[order[n - o.top_k]];
    for (double& x : z) x = x < least ? -INFINITY : x;
  }
  auto softmax = [&] {
    const double largest = *std::max_element(z.begin(), z.end());
    std::vector<double> p(n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += p[i] = std::exp(z[i] - largest);
    for (double& x : p) x /= sum;
    return p;
  };
  if (o.top_p < 1) {
    const std::vector<double> p = softmax();
    double below = 0;
    for (int64_t j = 0; j + 1 < n; j++) {
      below += p[order[j]];
      if (below <= 1.0 - o.top_p) z[order[j]] = -INFINITY;
    }
  }
  return softmax();
}

// Returns the number of standard deviations by which the chi-square statistic of these counts lies
// above its mean. Cells that expect fewer than 5 are merged.
double chi_square_excess(const std::vector<int64_t>& counts, const std::vector<double>& p,
                         int64_t draws) {
  double statistic = 0, rest_expected = 0, rest_count = 0;
  int cells = -1;
  auto add = [&](double count, double expected) {
    statistic += (count - expected) * (count - expected) / expected;
    cells++;
  };
  for (size_t i = 0; i < p.size(); i++) {
    const double expected = p[i] * static_cast<double>(draws);
    if (expected >= 5) {
      add(static_cast<double>(counts[i]), expected);
    } else {
      rest_expected += expected;
      rest_count += static_cast<double>(counts[i]);
    }
  }
  if (rest_expected >= 5) add(rest_count, rest_expected);
  return cells < 1 ? 0 : (statistic - cells) / std::sqrt(2.0 * cells);
}

void same_as_reference(std::vector<TestContext>& contexts) {
  Random random(8);
  for (int64_t v : {1, 2, 63, 64, 65, 111, 257, 5000, 32128}) {
    for (const Options& o : kSampleOptions) {
      for (int kind = 0; kind < 4; kind++) {
        if (v >= 5000 && kind != (&o - kSampleOptions) % 4)
          continue;  // long rows, one kind for each
        if (v < 6 && (o.no_repeat_ngram_size > 0 || o.min_new_tokens > 0)) continue;
        const int64_t m = v > 10000 ? 2 : 7;
        Call input(m, v, o), want(m, v, o);
        fill(input, random, kind);
        want.copy_inputs(input);
        sample_ref(want.args);
        for (TestContext& context : contexts) {
          Call got(m, v, o), bare(m, v, o, false), alone(1, v, o);
          got.copy_inputs(input);
          EXPECT_OK(context, precis_sample(context, &got.args));
          EXPECT(got.same_outputs(want), "%s v %lld options %td kind %d", context.name(),
                 static_cast<long long>(v), &o - kSampleOptions, kind);
          EXPECT(got.logits.intact() && got.probabilities.intact());
          expect_close(got.logits, want.logits, 0, 0, "processed logits");
          // The token does not depend on the requested outputs or on the other rows.
          bare.copy_inputs(input);
          EXPECT_OK(context, precis_sample(context, &bare.args));
          EXPECT(bare.tokens == want.tokens, "%s", context.name());
          const int64_t last = m - 1;
          std::memcpy(alone.logits.data<float>(), row<float>(input.logits, last), v * 4);
          alone.streams[0] = input.streams[last];
          alone.offsets[0] = input.offsets[last];
          alone.lengths[0] = input.lengths[last];
          std::copy_n(input.history.begin() + last * kHistory, kHistory, alone.history.begin());
          EXPECT_OK(context, precis_sample(context, &alone.args));
          EXPECT(alone.tokens[0] == want.tokens[last] && alone.raw[0] == want.raw[last] &&
                     alone.warped[0] == want.warped[last],
                 "%s", context.name());
        }
      }
    }
  }
}

// A call whose rows have options of their own gives what a call for each row gives.
void rows_of_different_options(std::vector<TestContext>& contexts) {
  Random random(12);
  for (int64_t v : {6, 111, 5000}) {
    const auto m = static_cast<int64_t>(std::size(kSampleOptions));
    std::vector<precis_row_sampling> sampling;
    std::vector<precis_row_rules> rules;
    for (const Options& o : kSampleOptions) {
      const auto seed = static_cast<uint64_t>(sampling.size());
      sampling.push_back({seed, o.temperature, o.top_k, o.top_p, o.greedy});
      rules.push_back({o.repetition_penalty, o.no_repeat_ngram_size, o.min_new_tokens, 0});
    }
    const auto give_rows = [&](Call& call) {
      call.args.row_sampling = sampling.data();
      call.args.rules.row_rules = rules.data();
    };
    Call input(m, v, {}), want(m, v, {});
    fill(input, random, 0);
    want.copy_inputs(input);
    give_rows(want);
    sample_ref(want.args);
    for (TestContext& context : contexts) {
      Call got(m, v, {});
      got.copy_inputs(input);
      give_rows(got);
      EXPECT_OK(context, precis_sample(context, &got.args));
      EXPECT(got.same_outputs(want), "%s v %lld", context.name(), static_cast<long long>(v));
      expect_close(got.logits, want.logits, 0, 0, "processed logits");
      for (int64_t r = 0; r < m; r++) {
        Call alone(1, v, kSampleOptions[r]);
        alone.args.seed = static_cast<uint64_t>(r);
        std::memcpy(alone.logits.data<float>(), row<float>(input.logits, r), v * sizeof(float));
        alone.streams[0] = input.streams[r];
        alone.offsets[0] = input.offsets[r];
        alone.lengths[0] = input.lengths[r];
        std::copy_n(input.history.begin() + r * kHistory, kHistory, alone.history.begin());
        EXPECT_OK(context, precis_sample(context, &alone.args));
        EXPECT(alone.tokens[0] == got.tokens[r] && alone.raw[0] == got.raw[r] &&
                   alone.warped[0] == got.warped[r],
               "%s v %lld row %lld", context.name(), static_cast<long long>(v),
               static_cast<long long>(r));
      }
    }
  }
}

// The token is appended, to arrays of its own or to those that it was chosen by; nothing else of
// them changes.
void appends(std::vector<TestContext>& contexts) {
  Random random(13);
  const int64_t m = 5, v = 70;
  for (const Options& o : {Options{.repetition_penalty = 1.4f}, Options{.greedy = 1}}) {
    Call input(m, v, o);
    fill(input, random, 0);
    for (int64_t r = 0; r < m; r++) {
      input.lengths[r] = static_cast<int32_t>(r == 0 ? 0 : r == 1 ? kHistory - 1 : 3 * r);
    }
    for (size_t c = 0; c <= contexts.size(); c++) {
      Call apart(m, v, o), in_place(m, v, o), plain(m, v, o);
      for (Call* each : {&apart, &in_place, &plain}) each->copy_inputs(input);
      std::vector<int32_t> ids(m, -7), ids2(m, -7), lengths(m, -7), history(m * kHistory, -7);
      std::vector<uint64_t> offsets(m, 7);
      apart.args.next_ids = ids.data();
      apart.args.next_lengths = lengths.data();
      apart.args.next_history = history.data();
      apart.args.next_offsets = offsets.data();
      in_place.args.next_ids = ids2.data();
      in_place.args.next_lengths = in_place.lengths.data();
      in_place.args.next_history = in_place.history.data();
      in_place.args.next_offsets = in_place.offsets.data();
      for (Call* each : {&apart, &in_place, &plain}) {
        if (c == 0) {
          sample_ref(each->args);
        } else {
          EXPECT_OK(contexts[c - 1], precis_sample(contexts[c - 1], &each->args));
        }
      }
      EXPECT(apart.same_outputs(plain) && in_place.same_outputs(plain));
      EXPECT(ids == plain.tokens && ids2 == plain.tokens);
      EXPECT(apart.lengths == input.lengths && apart.history == input.history &&
             apart.offsets == input.offsets);
      EXPECT(lengths == in_place.lengths && offsets == in_place.offsets);
      std::vector<int32_t> want = input.history, bare(m * kHistory, -7);
      for (int64_t r = 0; r < m; r++) {
        const int64_t at = r * kHistory + input.lengths[r];
        want[at] = bare[at] = plain.tokens[r];
        EXPECT(lengths[r] == input.lengths[r] + 1 &&
               offsets[r] == static_cast<uint64_t>(input.lengths[r]));
      }
      EXPECT(in_place.history == want && history == bare);
    }
  }
}

void same_tokens_over_many_draws(std::vector<TestContext>& contexts) {
  Random random(9);
  for (const Options& o : {Options{}, Options{.temperature = 0.8f, .top_k = 40, .top_p = 0.9f}}) {
    const int64_t m = 128, v = 111;
    std::vector<int32_t> want;
    Call input(m, v, o, false);
    fill(input, random, 0);
    for (size_t c = 0; c <= contexts.size(); c++) {
      std::vector<int32_t> got;
      for (uint64_t offset = 0; offset < 100; offset++) {
        Call call(m, v, o, false);
        call.copy_inputs(input);
        std::fill(call.offsets.begin(), call.offsets.end(), offset);
        if (c == 0) {
          sample_ref(call.args);
        } else {
          EXPECT_OK(contexts[c - 1], precis_sample(contexts[c - 1], &call.args));
        }
        got.insert(got.end(), call.tokens.begin(), call.tokens.end());
      }
      if (c == 0) {
        want = got;
      } else {
        EXPECT(got == want, "%s", contexts[c - 1].name());
      }
    }
    EXPECT(std::count(want.begin(), want.end(), want[0]) < static_cast<int64_t>(want.size()) / 2);
  }
}

void follows_the_distribution(TestContext& context) {
  Random random(10);
  for (const Options& o : {Options{}, Options{.temperature = 0.7f}, Options{.top_k = 10},
                           Options{.temperature = 1.5f, .top_k = 50, .top_p = 0.8f},
                           Options{.top_p = 0.95f}, Options{.temperature = 4}}) {
    for (int64_t v : {5, 70, 257}) {
      Call one(1, v, o);
      one.logits.fill_normal(random, 3);
      const std::vector<double> p = exact_distribution(one.logits.data<float>(), v, o);
      EXPECT_OK(context, precis_sample(context, &one.args));
      for (int64_t i = 0; i < v; i++) {
        const double got = one.probabilities.at(0, i);
        EXPECT((got == 0) == (p[i] == 0) && std::fabs(got - p[i]) <= 1e-5 * p[i],
               "probability %lld is %g, not %g", static_cast<long long>(i), got, p[i]);
      }
      EXPECT(std::fabs(one.warped[0] - std::log(p[one.tokens[0]])) < 1e-5);

      const int64_t m = 200, draws = v == 257 ? 20000 : 200000;
      Call call(m, v, o, false);
      for (int64_t r = 0; r < m; r++) {
        std::memcpy(row<float>(call.logits, r), one.logits.data<float>(), v * sizeof(float));
      }
      std::vector<int64_t> counts(v);
      for (int64_t offset = 0; offset < draws / m; offset++) {
        std::fill(call.offsets.begin(), call.offsets.end(), static_cast<uint64_t>(offset));
        EXPECT_OK(context, precis_sample(context, &call.args));
        for (int32_t token : call.tokens) counts[token]++;
      }
      for (int64_t i = 0; i < v; i++) EXPECT(p[i] > 0 || counts[i] == 0);
      const double excess = chi_square_excess(counts, p, draws);
      EXPECT(excess < 4, "v %lld: %g standard deviations", static_cast<long long>(v), excess);
    }
  }
}

// Samples of neighboring streams, offsets and seeds are independent: all 16 pairs of 4 equally
// likely tokens are equally frequent.
void streams_and_offsets_are_independent(TestContext& context) {
  const int64_t m = 300, steps = 400;
  Call call(m, 4, {}, false);
  call.logits.fill(0);
  std::vector<std::vector<int32_t>> tokens[2];  // by seed and offset
  for (uint64_t seed : {0, 1}) {
    call.args.seed = seed;
    for (uint64_t offset = 0; offset < steps; offset++) {
      std::fill(call.offsets.begin(), call.offsets.end(), offset);
      EXPECT_OK(context, precis_sample(context, &call.args));
      tokens[seed].push_back(call.tokens);
    }
  }
  const std::vector<double> uniform(16, 1.0 / 16);
  std::vector<int64_t> streams(16), offsets(16), seeds(16);
  int64_t pairs = 0;
  for (int64_t o = 0; o + 1 < steps; o += 2) {
    for (int64_t r = 0; r + 1 < m; r += 2, pairs++) {
      const int32_t first = tokens[0][o][r] * 4;
      streams[first + tokens[0][o][r + 1]]++;
      offsets[first + tokens[0][o + 1][r]]++;
      seeds[first + tokens[1][o][r]]++;
    }
  }
  for (const std::vector<int64_t>& counts : {streams, offsets, seeds}) {
    EXPECT(chi_square_excess(counts, uniform, pairs) < 4);
  }
}

void limits(TestContext& context) {
  Random random(11);
  Options cold;
  cold.temperature = 1e-6f;
  Call call(50, 257, cold);
  fill(call, random, 0);
  EXPECT_OK(context, precis_sample(context, &call.args));
  for (int64_t r = 0; r < 50; r++) {
    const float* x = row<float>(call.logits, r);
    EXPECT(x[call.tokens[r]] == *std::max_element(x, x + 257));
  }
  // Only one token is possible, wherever it is and whatever the other arguments are.
  for (const Options& o : kSampleOptions) {
    if (o.min_new_tokens > 0) continue;
    for (int64_t only : {0, 63, 64, 110}) {
      Call single(1, 111, o);
      single.logits.fill(-INFINITY);
      row<float>(single.logits, 0)[only] = -1e30f;
      EXPECT_OK(context, precis_sample(context, &single.args));
      EXPECT(single.tokens[0] == only && single.raw[0] == 0 && single.warped[0] == 0 &&
             single.probabilities.at(0, only) == 1 &&
             single.probabilities.at(0, (only + 1) % 111) == 0);
    }
  }
  // The log-probabilities, before the rules and after them.
  Options penalty;
  penalty.repetition_penalty = 4;
  penalty.greedy = 1;
  Call ruled(1, 3, penalty);
  const float logits[] = {1, 8, 2.5f};
  std::memcpy(ruled.logits.data<float>(), logits, sizeof logits);
  ruled.lengths[0] = 2;
  ruled.history[0] = ruled.history[1] = 1;
  EXPECT_OK(context, precis_sample(context, &ruled.args));
  EXPECT(ruled.tokens[0] == 2 && ruled.logits.at(0, 1) == 2);
  EXPECT(std::fabs(ruled.raw[0] - (2.5 - std::log(std::exp(1) + std::exp(8) + std::exp(2.5)))) <
         1e-6);
}

void refusals(TestContext& context) {
  for (int32_t greedy : {0, 1}) {
    Options o;
    o.greedy = greedy;
    for (int64_t where : {0, 64, 110}) {
      Call call(3, 111, o);
      call.logits.fill(1);
      row<float>(call.logits, 1)[where] = NAN;
      EXPECT_REFUSED(context, precis_sample(context, &call.args), "row 1 of logits has NaN");
      row<float>(call.logits, 1)[where] = INFINITY;
      EXPECT_REFUSED(context, precis_sample(context, &call.args), "row 1 of logits has +inf");
      for (int i = 0; i < 111; i++) row<float>(call.logits, 1)[i] = -INFINITY;
      EXPECT_REFUSED(context, precis_sample(context, &call.args), "has nothing but -inf");
    }
  }
  Call call(2, 5, {});
  call.logits.fill(1);
  auto refused = [&](auto precis_sample_args::*member, auto value, const char* text) {
    precis_sample_args args = call.args;
    args.*member = value;
    EXPECT_REFUSED(context, precis_sample(context, &args), text);
  };
  refused(&precis_sample_args::temperature, 0.0f, "temperature is 0");
  refused(&precis_sample_args::temperature, NAN, "temperature is ");
  refused(&precis_sample_args::temperature, INFINITY, "temperature is inf");
  refused(&precis_sample_args::top_k, -1, "top_k is -1");
  refused(&precis_sample_args::top_p, 1.5f, "top_p is 1.5");
  refused(&precis_sample_args::top_p, NAN, "top_p is ");
  refused(&precis_sample_args::tokens, nullptr, "tokens is NULL");
  refused(&precis_sample_args::streams, nullptr, "streams is NULL");
  refused(&precis_sample_args::offsets, nullptr, "offsets is NULL");
  std::vector<precis_row_sampling> sampling = {{1, 1, 0, 1, 0}, {1, 0, 0, 1, 0}};
  refused(&precis_sample_args::row_sampling, sampling.data(), "row_sampling[1]: temperature is 0");
  sampling[1] = {1, 1, -2, 1, 0};
  refused(&precis_sample_args::row_sampling, sampling.data(), "row_sampling[1]: top_k is -2");
  sampling[1] = {1, 1, 0, 2, 0};
  refused(&precis_sample_args::row_sampling, sampling.data(), "row_sampling[1]: top_p is 2");
  sampling[1] = {1, 0, 0, 1, 1};  // greedy: nothing else counts
  call.args.row_sampling = sampling.data();
  EXPECT_OK(context, precis_sample(context, &call.args));
  refused(&precis_sample_args::streams, nullptr, "streams is NULL");
  call.args.row_sampling = nullptr;
  call.offsets[1] = uint64_t{1} << 32;
  EXPECT_REFUSED(context, precis_sample(context, &call.args), "offsets[1] is 4294967296");
  call.args.greedy = 1;
  call.args.streams = call.args.offsets = nullptr;
  EXPECT_OK(context, precis_sample(context, &call.args));
  call.args.rules.repetition_penalty = 0;
  EXPECT_REFUSED(context, precis_sample(context, &call.args), "repetition_penalty is 0");
  call.args.rules.repetition_penalty = 1;
  std::vector<int32_t> ids(2), lengths(2), history(2 * kHistory);
  std::vector<uint64_t> offsets(2);
  call.args.next_ids = ids.data();
  call.args.next_lengths = lengths.data();
  call.args.next_history = history.data();
  call.args.next_offsets = offsets.data();
  EXPECT_OK(context, precis_sample(context, &call.args));
  refused(&precis_sample_args::next_history, nullptr, "next_history is NULL beside next_ids");
  for (int32_t length : {-1, static_cast<int32_t>(kHistory)}) {
    call.lengths[1] = length;
    EXPECT_REFUSED(context, precis_sample(context, &call.args), "history_lengths[1] is ");
  }
  call.args.rules.history_lengths = nullptr;
  EXPECT_REFUSED(context, precis_sample(context, &call.args), "history_lengths is NULL");
  call.args.next_ids = nullptr;
  EXPECT_OK(context, precis_sample(context, &call.args));
  call.args.probabilities.dims[1] = 4;
  EXPECT_REFUSED(context, precis_sample(context, &call.args), "probabilities has 4");
}

}  // namespace

int main() {
  std::vector<TestContext> contexts = all_contexts();
  same_as_reference(contexts);
  rows_of_different_options(contexts);
  appends(contexts);
  same_tokens_over_many_draws(contexts);
  follows_the_distribution(contexts.back());
  streams_and_offsets_are_independent(contexts.back());
  for (TestContext& context : contexts) {
    limits(context);
    refusals(context);
  }
  return test_result();
}
