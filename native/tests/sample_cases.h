// Helpers that the tests of sample on the CPU and on a GPU share.
#ifndef PRECIS_TESTS_SAMPLE_CASES_H_
#define PRECIS_TESTS_SAMPLE_CASES_H_

#include <algorithm>

#include "ops/sample.h"
#include "test.h"

namespace precis {

struct SampleOptions {
  float temperature = 1;
  int32_t top_k = 0;
  float top_p = 1;
  int32_t greedy = 0;
  float repetition_penalty = 1;
  int32_t no_repeat_ngram_size = 0;
  int32_t min_new_tokens = 0;
};

constexpr SampleOptions kSampleOptions[] = {
    {},
    {.temperature = 0.7f},
    {.top_k = 10},
    {.top_p = 0.9f},
    {.temperature = 1.5f, .top_k = 50, .top_p = 0.8f},
    {.top_p = 0.05f},
    {.temperature = 0.9f, .top_p = 0.95f, .repetition_penalty = 1.4f},
    {.top_k = 1},
    {.top_p = 0},
    {.top_k = 700, .top_p = 0.999999f, .no_repeat_ngram_size = 2, .min_new_tokens = 9},
    {.temperature = 1e-30f},
    {.temperature = 1e30f, .top_p = 0.5f},
    {.greedy = 1},
    {.greedy = 1, .repetition_penalty = 2, .min_new_tokens = 9},
};

// The longest history.
constexpr int64_t kHistory = 23;

// Sets the arguments that the options name.
inline void put_options(const SampleOptions& o, precis_sample_args& args) {
  args.rules.history_stride = kHistory;
  args.rules.repetition_penalty = o.repetition_penalty;
  args.rules.no_repeat_ngram_size = o.no_repeat_ngram_size;
  args.rules.min_new_tokens = o.min_new_tokens;
  args.seed = 42;
  args.temperature = o.temperature;
  args.top_k = o.top_k;
  args.top_p = o.top_p;
  args.greedy = o.greedy;
}

// Fills in one of four kinds of logits, a history of few distinct tokens, and random offsets.
inline void fill_sample_inputs(Random& random, int kind, const precis_tensor& logits,
                               std::vector<uint64_t>& offsets, std::vector<int32_t>& history,
                               std::vector<int32_t>& lengths) {
  const int64_t v = columns(logits);
  for (int64_t r = 0; r < rows(logits); r++) {
    float* x = row<float>(logits, r);
    for (int64_t i = 0; i < v; i++) {
      x[i] = kind == 0   ? random.normal() * 3
             : kind == 1 ? static_cast<float>(random.below(4) - 1) * -0.5f  // ties, and -0
             : kind == 2 ? (random.below(3) == 0 ? -INFINITY : random.normal() - 30)
                         : random.normal() * 40;  // most have no mass
    }
    if (kind == 2) x[random.below(v)] = 2;
    offsets[r] = random.next() >> 33;
    lengths[r] = static_cast<int32_t>(random.below(kHistory + 1));
    for (int32_t h = 0; h < lengths[r]; h++) {
      history[r * kHistory + h] = static_cast<int32_t>(random.below(std::min<int64_t>(v, 5)));
    }
  }
}

}  // namespace precis

#endif  // PRECIS_TESTS_SAMPLE_CASES_H_
