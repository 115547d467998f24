#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "ops/process_logits.h"

namespace precis {

void process_logits_ref(const precis_process_logits_args& a) {
  const precis_logit_rules& rules = a.rules;
  for (int64_t r = 0; r < rows(a.scores); r++) {
    const precis_row_rules own = rules_of_row(rules, r);
    const size_t n = static_cast<size_t>(own.no_repeat_ngram_size);
    float* scores = row<float>(a.scores, r);
    std::vector<int32_t> history;
    if (rules.history != nullptr) {
      const int32_t* first = rules.history + r * rules.history_stride;
      history.assign(first, first + rules.history_lengths[r]);
    }
    for (int32_t token : std::set<int32_t>(history.begin(), history.end())) {
      const float s = scores[token];
      scores[token] = s < 0 ? s * own.repetition_penalty : s / own.repetition_penalty;
    }
    if (n > 0 && history.size() >= n) {
      std::map<std::vector<int32_t>, std::set<int32_t>> followers;
      for (size_t i = 0; i + n <= history.size(); i++) {
        followers[{history.begin() + i, history.begin() + i + n - 1}].insert(history[i + n - 1]);
      }
      for (int32_t token : followers[{history.end() - (n - 1), history.end()}]) {
        scores[token] = -INFINITY;
      }
    }
    if (own.min_new_tokens > 0 && rules.history_lengths[r] - 1 < own.min_new_tokens) {
      for (int32_t i = 0; i < rules.end_token_count; i++) scores[rules.end_tokens[i]] = -INFINITY;
    }
  }
}

}  // namespace precis
