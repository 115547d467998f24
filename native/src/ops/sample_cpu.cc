// Row by row, without sorting the vocabulary. The maxima of groups of 64 logits come first; then
// groups that cannot matter are skipped: those below the top-k threshold, those whose
// tokens have no mass, and those whose maximum plus the largest possible noise stays below the best
// token so far - on a trained model nearly all of them. The result, which sample.h defines, is
// bitwise identical. Top-k and top-p keep the logits above a threshold and, of those equal to it,
// the indices from a first one on.
//
// The loops over the 64 logits of a group are plain C++ over the functions of random/; the
// compiler vectorizes them. V = 32128 on one Zen 4 core: see bench/sample_bench.cc.

#include "context.h"
#include "cpu/select.h"
#include "error.h"
#include "ops/logit_rules.h"
#include "ops/process_logits.h"
#include "ops/row_errors.h"
#include "ops/row_groups.h"
#include "ops/sample.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr float kInfinity = __builtin_inff();

// Logits whose group maxima are known. largest is finite.
struct Row {
  const float* logits;
  const float* maxima;
  int64_t n;
  int64_t groups;
  float largest;
  float temperature;

  float scaled(float logit) const { return (logit - largest) / temperature; }

  // The 64 logits of group g; the last group is filled up with -inf, in buffer.
  const float* group(int64_t g, float* buffer) const {
    const float* x = logits + g * kGroup;
    const int64_t count = n - g * kGroup;
    if (count >= kGroup) return x;
    for (int64_t j = 0; j < kGroup; j++) buffer[j] = j < count ? x[j] : -kInfinity;
    return buffer;
  }
};

// The tokens that may be sampled: logits above threshold, and those equal to it from index first
// on; mass is their sum.
struct Kept {
  float threshold;
  int64_t first;
  uint64_t mass;
};

// The sum of sample_mass over the logits of a group that are at least threshold. A mass is split in
// two integers of 32 bits, the sums of 64 of which still fit.
uint64_t mass_of_group(const Row& row, const float* x, float threshold) {
  const float largest = row.largest, temperature = row.temperature;
  int32_t high = 0, low = 0;
  for (int64_t j = 0; j < kGroup; j++) {
    const float z = x[j] < threshold ? -kInfinity : (x[j] - largest) / temperature;
    const float mass = portable_exp(z) * 0x1p16f;
    const int32_t whole = static_cast<int32_t>(mass);
    high += whole;
    low += static_cast<int32_t>((mass - static_cast<float>(whole)) * 0x1p24f);
  }
  return (static_cast<uint64_t>(high) << 24) + static_cast<uint64_t>(low);
}

uint64_t mass_of_row(const Row& row, float threshold) {
  uint64_t sum = 0;
  float buffer[kGroup];
  for (int64_t g = 0; g < row.groups; g++) {
    if (row.maxima[g] < threshold || row.scaled(row.maxima[g]) < kMasslessBelow) continue;
    sum += mass_of_group(row, row.group(g, buffer), threshold);
  }
  return sum;
}

// The k-th largest logit. values: room for n + groups.
float top_k_threshold(const Row& row, int64_t k, float* values) {
  const float bound = lower_bound_of_kth(row.maxima, row.groups, k, values + row.n);
  int64_t count = 0;
  for (int64_t g = 0; g < row.groups; g++) {
    if (row.maxima[g] < bound) continue;
    const int64_t end = g + 1 < row.groups ? (g + 1) * kGroup : row.n;
    for (int64_t i = g * kGroup; i < end; i++) {
      values[count] = row.logits[i];
      count += row.logits[i] >= bound;
    }
  }
  return kth_largest(values, count, k);
}

// Returns the histogram bucket of a token's z: 1/64 wide, largest logits first.
constexpr int kBuckets = 2048;
inline int32_t bucket_of(float z) {
  const float b = z * -64.0f;
  return static_cast<int32_t>(b < kBuckets - 1.0f ? b : kBuckets - 1.0f);
}

// Narrows kept to the nucleus (Holtzman et al. 2020). Tokens no heavier than droppable / V are
// dropped whatever the others are, so groups of nothing else need no look; a histogram finds the
// bucket in which the boundary lies, and only that bucket is sorted. keys: room for n.
Kept top_p_threshold(const Row& row, Kept kept, float top_p, uint64_t* keys) {
  const uint64_t droppable = sample_droppable(top_p, kept.mass);
  const uint64_t negligible = droppable / static_cast<uint64_t>(row.n) / 2;  // 2: exp rounds
  auto skip = [&](int64_t g) {
    return row.maxima[g] < kept.threshold || sample_mass(row.scaled(row.maxima[g])) <= negligible;
  };
  const float largest = row.largest, temperature = row.temperature, threshold = kept.threshold;
  uint64_t histogram[kBuckets] = {};
  uint64_t dropped = kept.mass;
  float buffer[kGroup], mass[kGroup];
  int32_t bucket[kGroup];
  for (int64_t g = 0; g < row.groups; g++) {
    if (skip(g)) continue;
    const float* x = row.group(g, buffer);
    for (int64_t j = 0; j < kGroup; j++) {
      const float z = x[j] < threshold ? -kInfinity : (x[j] - largest) / temperature;
      mass[j] = portable_exp(z) * 0x1p40f;
      bucket[j] = bucket_of(z);
    }
    for (int64_t j = 0; j < kGroup; j++) {
      const uint64_t m = static_cast<uint64_t>(mass[j]);
      histogram[bucket[j]] += m;
      dropped -= m;
    }
  }
  // Now dropped is the mass of the groups without a look. It ends before all buckets are dropped,
  // because droppable is less than all the mass.
  int32_t boundary = kBuckets - 1;
  while (dropped + histogram[boundary] <= droppable) dropped += histogram[boundary--];
  int64_t count = 0;
  for (int64_t g = 0; g < row.groups; g++) {
    if (skip(g) || bucket_of(row.scaled(row.maxima[g])) > boundary) continue;
    const float* x = row.logits + g * kGroup;
    const int64_t left = row.n - g * kGroup, end = left < kGroup ? left : kGroup;
    for (int64_t j = 0; j < end; j++) {
      if (x[j] < threshold || bucket_of(row.scaled(x[j])) != boundary) continue;
      keys[count++] =
          static_cast<uint64_t>(order_bits(x[j])) << 32 | static_cast<uint64_t>(g * kGroup + j);
    }
  }
  sort_ascending(keys, count);
  for (int64_t i = 0;; i++) {
    const int64_t index = static_cast<int64_t>(keys[i] & 0xffffffffu);
    const uint64_t m = sample_mass(row.scaled(row.logits[index]));
    if (dropped + m > droppable) return {row.logits[index], index, kept.mass - dropped};
    dropped += m;
  }
}

// The generator of one row's noise.
struct Noise {
  uint64_t seed, stream, offset;

  // gumbel_noise of the 64 tokens of group g.
  void fill(int64_t g, float* noise) const {
    uint32_t random[kGroup];
    const uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
    for (uint32_t lane = 0; lane < 16; lane++) {
      const Philox p = philox4x32_10(
          gumbel_counter(stream, offset, static_cast<uint32_t>(g) * 16 + lane), key0, key1);
      random[lane] = p.word[0];
      random[16 + lane] = p.word[1];
      random[32 + lane] = p.word[2];
      random[48 + lane] = p.word[3];
    }
    for (int64_t j = 0; j < kGroup; j++) noise[j] = gumbel_of_bits(random[j]);
  }
};

int64_t draw(const Row& row, const Kept& kept, const Noise& noise) {
  float best = -kInfinity;
  int64_t token = -1;
  float buffer[kGroup], score[kGroup];
  auto visit = [&](int64_t g) {
    const float* x = row.group(g, buffer);
    const float largest = row.largest, temperature = row.temperature, threshold = kept.threshold;
    noise.fill(g, score);
    for (int64_t j = 0; j < kGroup; j++) {
      const float z = x[j] < threshold ? -kInfinity : (x[j] - largest) / temperature;
      score[j] += z;
    }
    for (int64_t j = 0; j < kGroup && g * kGroup + j < kept.first; j++) {
      if (x[j] == threshold) score[j] = -kInfinity;
    }
    Vec m = Vec::load(score);
    for (int j = Vec::kWidth; j < kGroup; j += Vec::kWidth) m = max(m, Vec::load(score + j));
    const float group_best = m.largest();
    if (group_best < best || group_best == -kInfinity) return;
    int64_t j = 0;
    while (score[j] != group_best) j++;
    if (group_best > best || g * kGroup + j < token) {
      best = group_best;
      token = g * kGroup + j;
    }
  };
  // The group of the largest logit comes first, so that most of the others can be skipped.
  int64_t likely = 0;
  while (row.maxima[likely] != row.largest) likely++;
  visit(likely);
  for (int64_t g = 0; g < row.groups; g++) {
    if (g == likely || row.maxima[g] < kept.threshold) continue;
    if (row.scaled(row.maxima[g]) + kLargestGumbel < best) continue;
    visit(g);
  }
  return token;
}

void store_probabilities(const Row& row, const Kept& kept, float* probabilities) {
  const float sum = static_cast<float>(kept.mass) * 0x1p-40f;
  for (int64_t i = 0; i < row.n; i++) {
    const float x = row.logits[i];
    probabilities[i] = x < kept.threshold ? 0.0f : portable_exp(row.scaled(x)) / sum;
  }
  for (int64_t i = 0; i < kept.first; i++) {
    if (row.logits[i] == kept.threshold) probabilities[i] = 0;
  }
}

// Scratch memory of one thread: the original scores of the history's tokens, maxima, and buffers
// for selection.
struct Buffers {
  float* originals;
  float* maxima;
  uint64_t* keys;
};

class Sampler {
 public:
  Sampler(const precis_sample_args& a, const Buffers& buffers) : a_(a), buffers_(buffers) {}

  void sample(int64_t r, FirstRow* refused) const {
    float* logits = row<float>(a_.logits, r);
    const int64_t n = columns(a_.logits);
    const precis_row_rules rules = rules_of_row(a_.rules, r);
    const precis_row_sampling own = sampling_of_row(a_, r);
    const bool ruled =
        rules.repetition_penalty != 1 || rules.no_repeat_ngram_size > 0 || rules.min_new_tokens > 0;
    const bool wants_raw = a_.log_probabilities != nullptr;
    Row row = {logits, buffers_.maxima, n, group_count(n), 0, 1};
    uint64_t raw_mass = 0;
    float raw_largest = 0;
    if (wants_raw || !ruled) {
      row.largest = raw_largest = group_maxima(logits, n, buffers_.maxima);
      if (!__builtin_isfinite(row.largest)) return refused->note(r, problem_of(row.largest));
      if (wants_raw) raw_mass = mass_of_row(row, -kInfinity);
    }
    if (ruled) {
      apply_logit_rules(a_.rules, r, logits, buffers_.originals);
      row.largest = group_maxima(logits, n, buffers_.maxima);
      if (!__builtin_isfinite(row.largest)) return refused->note(r, problem_of(row.largest));
    }

    int64_t token;
    Kept kept = {-kInfinity, 0, 0};
    if (own.greedy) {
      token = find_in_groups(logits, buffers_.maxima, row.largest);
    } else {
      row.temperature = own.temperature;
      if (own.top_k > 0 && own.top_k < n) {
        kept.threshold = top_k_threshold(row, own.top_k, reinterpret_cast<float*>(buffers_.keys));
      }
      if (own.top_p < 1 || a_.warped_log_probabilities != nullptr ||
          a_.probabilities.data != nullptr) {
        const bool as_raw =
            wants_raw && !ruled && own.temperature == 1 && kept.threshold == -kInfinity;
        kept.mass = as_raw ? raw_mass : mass_of_row(row, kept.threshold);
      }
      if (own.top_p < 1) kept = top_p_threshold(row, kept, own.top_p, buffers_.keys);
      token = draw(row, kept, {own.seed, a_.streams[r], a_.offsets[r]});
    }

    a_.tokens[r] = static_cast<int32_t>(token);
    if (wants_raw) {
      a_.log_probabilities[r] =
          (original(r, token, logits[token]) - raw_largest) - sample_log_mass(raw_mass);
    }
    if (a_.warped_log_probabilities != nullptr) {
      a_.warped_log_probabilities[r] =
          own.greedy ? 0.0f : row.scaled(logits[token]) - sample_log_mass(kept.mass);
    }
    if (a_.probabilities.data != nullptr) {
      float* probabilities = precis::row<float>(a_.probabilities, r);
      if (own.greedy) {
        for (int64_t i = 0; i < n; i++) probabilities[i] = i == token ? 1.0f : 0.0f;
      } else {
        store_probabilities(row, kept, probabilities);
      }
    }
    if (a_.next_ids != nullptr) {
      append_sampled(a_, r, a_.rules.history_lengths[r], static_cast<int32_t>(token));
    }
  }

 private:
  // The logit of a token before the rules; it has been sampled, so no rule made it -inf.
  float original(int64_t r, int64_t token, float now) const {
    if (rules_of_row(a_.rules, r).repetition_penalty == 1) return now;
    const int32_t* history = a_.rules.history + r * a_.rules.history_stride;
    for (int32_t h = 0; h < a_.rules.history_lengths[r]; h++) {
      if (history[h] == token) return buffers_.originals[h];
    }
    return now;
  }

  const precis_sample_args& a_;
  const Buffers& buffers_;
};

}  // namespace

void sample_cpu(CpuContext& context, const precis_sample_args& a) {
  const int64_t m = rows(a.logits), n = columns(a.logits);
  const int64_t history = penalised_history(a.rules, m), groups = group_count(n);
  // top_k_threshold selects from n logits or from the maxima behind them.
  const size_t bytes = static_cast<size_t>((n * 8 + groups * 8 + history * 4 + 127) / 64 * 64);
  char* scratch = static_cast<char*>(
      context.scratch.reserve(bytes * static_cast<size_t>(context.pool.threads())));
  FirstRow refused;
  parallel(context.pool, [&](int thread, int threads) {
    uint64_t* keys = reinterpret_cast<uint64_t*>(scratch + bytes * static_cast<size_t>(thread));
    float* maxima = reinterpret_cast<float*>(keys + n + (groups + 1) / 2);
    const Buffers buffers = {maxima + groups, maxima, keys};
    const Sampler sampler(a, buffers);
    for (int64_t r = m * thread / threads; r < m * (thread + 1) / threads; r++) {
      sampler.sample(r, &refused);
    }
  });
  refused.check("sample", "logits");
}

}  // namespace PRECIS_ISA
}  // namespace precis
