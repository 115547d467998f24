#include "ops/logit_rules.h"

#include "error.h"

namespace precis {

void check_logit_rules(const char* op, const precis_logit_rules& rules, int64_t rows,
                       int64_t vocabulary) {
  PRECIS_CHECK(rules.repetition_penalty > 0 && rules.repetition_penalty <= 3e38f,
               "%s: repetition_penalty is %g, not above 0 (1: none)", op, rules.repetition_penalty);
  PRECIS_CHECK(rules.no_repeat_ngram_size >= 0, "%s: no_repeat_ngram_size is %d", op,
               rules.no_repeat_ngram_size);
  PRECIS_CHECK(rules.min_new_tokens >= 0, "%s: min_new_tokens is %d", op, rules.min_new_tokens);
  PRECIS_CHECK(rules.end_token_count >= 0, "%s: end_token_count is %d", op, rules.end_token_count);
  PRECIS_CHECK(rules.end_token_count == 0 || rules.end_tokens != nullptr, "%s: end_tokens is NULL",
               op);
  for (int32_t i = 0; i < rules.end_token_count; i++) {
    PRECIS_CHECK(rules.end_tokens[i] >= 0 && rules.end_tokens[i] < vocabulary,
                 "%s: end_tokens[%d] is %d, outside the %lld scores", op, i, rules.end_tokens[i],
                 static_cast<long long>(vocabulary));
  }
  const bool reads_history = rules.repetition_penalty != 1 || rules.no_repeat_ngram_size > 0;
  if ((!reads_history && rules.min_new_tokens == 0) || rows == 0) return;
  PRECIS_CHECK(rules.history_lengths != nullptr, "%s: history_lengths is NULL", op);
  PRECIS_CHECK(!reads_history || rules.history != nullptr, "%s: history is NULL", op);
  for (int64_t r = 0; r < rows; r++) {
    const int32_t length = rules.history_lengths[r];
    PRECIS_CHECK(length >= 0 && length <= rules.history_stride,
                 "%s: history_lengths[%lld] is %d, not between 0 and history_stride, %lld", op,
                 static_cast<long long>(r), length, static_cast<long long>(rules.history_stride));
    if (!reads_history) continue;
    const int32_t* history = rules.history + r * rules.history_stride;
    for (int32_t h = 0; h < length; h++) {
      PRECIS_CHECK(history[h] >= 0 && history[h] < vocabulary,
                   "%s: history[%lld, %d] is %d, outside the %lld scores", op,
                   static_cast<long long>(r), h, history[h], static_cast<long long>(vocabulary));
    }
  }
}

int64_t penalised_history(const precis_logit_rules& rules, int64_t rows) {
  int64_t longest = 0;
  if (rules.repetition_penalty == 1) return 0;
  for (int64_t r = 0; r < rows; r++) {
    if (rules.history_lengths[r] > longest) longest = rules.history_lengths[r];
  }
  return longest;
}

void apply_logit_rules(const precis_logit_rules& rules, int64_t r, float* scores,
                       float* originals) {
  constexpr float kInfinity = __builtin_inff();
  const int32_t* history =
      rules.history == nullptr ? nullptr : rules.history + r * rules.history_stride;
  if (rules.repetition_penalty != 1) {
    // All are read before any is written: a token that occurs twice is penalised once.
    const int32_t length = rules.history_lengths[r];
    for (int32_t h = 0; h < length; h++) originals[h] = scores[history[h]];
    for (int32_t h = 0; h < length; h++) {
      const float s = originals[h];
      scores[history[h]] = s < 0 ? s * rules.repetition_penalty : s / rules.repetition_penalty;
    }
  }
  const int32_t n = rules.no_repeat_ngram_size;
  if (n > 0) {
    const int32_t length = rules.history_lengths[r];
    const int32_t* last = history + length - (n - 1);  // used only where length >= n
    for (int32_t i = 0; i + n <= length; i++) {
      int32_t same = 0;
      while (same < n - 1 && history[i + same] == last[same]) same++;
      if (same == n - 1) scores[history[i + n - 1]] = -kInfinity;
    }
  }
  if (rules.min_new_tokens > 0 && rules.history_lengths[r] - 1 < rules.min_new_tokens) {
    for (int32_t i = 0; i < rules.end_token_count; i++) scores[rules.end_tokens[i]] = -kInfinity;
  }
}

}  // namespace precis
