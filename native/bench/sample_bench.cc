// Measures sampling tokens from a vocabulary of 32128: microseconds a row by instruction set, batch
// and kind of logits. peaked: as of a trained model, a few tokens hold the mass; flat: normal,
// scale 2. The share is that of reading the logits from memory; from a cache it may exceed 100 %.
//
//   sample_bench [isa] [threads]

#include <functional>

#include "bench.h"
#include "ceilings.h"
#include "test.h"

using namespace precis;

namespace {

constexpr int64_t kVocabulary = 32128;

void fill(const GuardedTensor& logits, bool peaked, Random& random) {
  for (int64_t r = 0; r < rows(logits.tensor()); r++) {
    float* x = row<float>(logits, r);
    for (int64_t i = 0; i < kVocabulary; i++) x[i] = random.normal() * 2 - (peaked ? 20 : 0);
    for (int i = 0; peaked && i < 40; i++) x[random.below(kVocabulary)] = random.normal() * 3;
  }
}

}  // namespace

int main(int argc, char** argv) {
  TestContext context(argc > 1 ? argv[1] : nullptr, argc > 2 ? std::atoi(argv[2]) : 1);
  if (context.status() != PRECIS_OK) {
    std::printf("%s\n", context.error().c_str());
    return 1;
  }
  Random random(1);
  precis_context_info info;
  EXPECT_OK(context, precis_context_describe(context, &info));
  const Ceilings ceilings(info.threads);
  ceilings.print();
  std::printf("%-14s %-7s %4s %10s %6s\n", "microseconds", "logits", "M", context.name(), "share");
  for (int64_t m : {1, 8, 32}) {
    for (bool peaked : {true, false}) {
      GuardedTensor logits(PRECIS_FLOAT32, {m, kVocabulary}), y(PRECIS_FLOAT32, {m, kVocabulary});
      GuardedTensor values(PRECIS_FLOAT32, {m, 50}), indices(PRECIS_INT32, {m, 50});
      fill(logits, peaked, random);
      std::vector<uint64_t> streams(m), offsets(m);
      std::vector<int32_t> tokens(m);
      std::vector<float> raw(m), warped(m);
      for (int64_t r = 0; r < m; r++) streams[r] = r;
      precis_sample_args args = {};
      args.logits = logits;
      args.rules.repetition_penalty = 1;
      args.streams = streams.data();
      args.offsets = offsets.data();
      args.temperature = 1;
      args.top_p = 1;
      args.tokens = tokens.data();
      auto time = [&](const char* name, const std::function<precis_status()>& call) {
        const precis_status status = call();
        if (status != PRECIS_OK) std::printf("%s: %s\n", name, precis_last_error(context));
        const double us = median_microseconds(call) / m;
        std::printf("%-14s %-7s %4lld %10.1f %4.0f %%\n", name, peaked ? "peaked" : "flat",
                    static_cast<long long>(m), us,
                    ceilings.share(PRECIS_FLOAT32, 0, 4.0 * kVocabulary, 0, us * 1e-6));
      };
      auto sample = [&](const char* name) {
        time(name, [&] {
          for (uint64_t& offset : offsets) offset++;
          return precis_sample(context, &args);
        });
      };
      args.greedy = 1;
      sample("greedy");
      args.greedy = 0;
      sample("all");
      args.log_probabilities = raw.data();
      args.warped_log_probabilities = warped.data();
      sample("all+logprobs");
      args.log_probabilities = args.warped_log_probabilities = nullptr;
      args.top_k = 50;
      sample("top_k 50");
      args.top_p = 0.9f;
      sample("top_k+top_p");
      args.top_k = 0;
      sample("top_p 0.9");
      precis_top_k_args top_k = {logits, values, indices};
      time("top_k op 50", [&] { return precis_top_k(context, &top_k); });
      for (int32_t logarithm : {0, 1}) {
        precis_softmax_args softmax = {logits, y, logarithm, 0};
        time(logarithm ? "log_softmax" : "softmax",
             [&] { return precis_softmax(context, &softmax); });
      }
    }
  }
  GuardedTensor x(PRECIS_BFLOAT16, {512, 4096}), y(PRECIS_BFLOAT16, {512, 2048});
  x.fill_normal(random);
  precis_activation_args gelu = {x, y, PRECIS_GELU_TANH, 1};
  std::printf("%-14s %-7s %4d %10.1f\n", "gated gelu", "bf16", 512,
              median_microseconds([&] { return precis_activation(context, &gelu); }) / 512);
  return 0;
}
