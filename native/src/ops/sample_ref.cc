// Sorts everything and skips nothing. What decides is the same arithmetic as in the kernels, which
// the tokens depend on; the distribution is checked against double in the test.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "ops/process_logits.h"
#include "ops/sample.h"

namespace precis {

namespace {

uint64_t mass_of_row(const float* logits, int64_t n, float largest, float temperature) {
  uint64_t sum = 0;
  for (int64_t i = 0; i < n; i++) sum += sample_mass((logits[i] - largest) / temperature);
  return sum;
}

// One more than the index that the kept tokens have in order, ascending; others are dropped.
std::vector<bool> kept_tokens(const precis_row_sampling& a, const float* logits, int64_t n,
                              const std::vector<uint64_t>& mass) {
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [logits](int64_t i, int64_t j) { return logits[i] < logits[j]; });
  int64_t first = 0;
  if (a.top_k > 0 && a.top_k < n) {
    first = n - a.top_k;
    while (first > 0 && logits[order[first - 1]] == logits[order[first]]) first--;
  }
  if (a.top_p < 1) {
    uint64_t total = 0, dropped = 0;
    for (int64_t j = first; j < n; j++) total += mass[order[j]];
    while (dropped + mass[order[first]] <= sample_droppable(a.top_p, total)) {
      dropped += mass[order[first++]];
    }
  }
  std::vector<bool> kept(n, false);
  for (int64_t j = first; j < n; j++) kept[order[j]] = true;
  return kept;
}

}  // namespace

void sample_ref(const precis_sample_args& a) {
  const int64_t n = columns(a.logits);
  std::vector<std::vector<float>> raw;
  for (int64_t r = 0; r < rows(a.logits); r++) {
    raw.emplace_back(row<float>(a.logits, r), row<float>(a.logits, r) + n);
  }
  process_logits_ref({a.logits, a.rules});
  for (int64_t r = 0; r < rows(a.logits); r++) {
    const float* logits = row<const float>(a.logits, r);
    const float largest = *std::max_element(logits, logits + n);
    std::vector<bool> kept(n, false);
    std::vector<uint64_t> mass(n);
    int64_t token = std::max_element(logits, logits + n) - logits;
    uint64_t kept_mass = 0;
    const precis_row_sampling own = sampling_of_row(a, r);
    const float temperature = own.greedy ? 1 : own.temperature;
    for (int64_t i = 0; i < n; i++) mass[i] = sample_mass((logits[i] - largest) / temperature);
    if (own.greedy) {
      kept[token] = true;
    } else {
      kept = kept_tokens(own, logits, n, mass);
      float best = -INFINITY;
      for (int64_t i = 0; i < n; i++) {
        const float score =
            (logits[i] - largest) / temperature +
            gumbel_noise(own.seed, a.streams[r], a.offsets[r], static_cast<uint32_t>(i));
        if (kept[i] && score > best) best = score, token = i;
      }
    }
    for (int64_t i = 0; i < n; i++) kept_mass += kept[i] ? mass[i] : 0;
    a.tokens[r] = static_cast<int32_t>(token);
    if (a.log_probabilities != nullptr) {
      const float top = *std::max_element(raw[r].begin(), raw[r].end());
      a.log_probabilities[r] =
          (raw[r][token] - top) - sample_log_mass(mass_of_row(raw[r].data(), n, top, 1));
    }
    if (a.warped_log_probabilities != nullptr) {
      a.warped_log_probabilities[r] =
          (logits[token] - largest) / temperature - sample_log_mass(kept_mass);
    }
    if (a.probabilities.data != nullptr) {
      for (int64_t i = 0; i < n; i++) {
        const float e = portable_exp((logits[i] - largest) / temperature);
        row<float>(a.probabilities, r)[i] =
            kept[i] ? e / (static_cast<float>(kept_mass) * 0x1p-40f) : 0;
      }
    }
    if (a.next_ids == nullptr) continue;
    const int32_t length = a.rules.history_lengths[r];
    a.next_ids[r] = a.next_history[r * a.rules.history_stride + length] = a.tokens[r];
    a.next_offsets[r] = length;
    a.next_lengths[r] = length + 1;
  }
}

}  // namespace precis
