#include "ops/logit_rules.h"

#include "check.h"

namespace precis {

void check_logit_rules(const Check& check, const precis_logit_rules& rules, int64_t rows,
                       int64_t vocabulary) {
  check.that(rules.repetition_penalty > 0 && rules.repetition_penalty <= 3e38f,
             "repetition_penalty is ", rules.repetition_penalty, ", not above 0 (1: none)");
  check.that(rules.no_repeat_ngram_size >= 0, "no_repeat_ngram_size is ",
             rules.no_repeat_ngram_size);
  check.that(rules.min_new_tokens >= 0, "min_new_tokens is ", rules.min_new_tokens);
  check.that(rules.end_token_count >= 0, "end_token_count is ", rules.end_token_count);
  check.that(rules.end_token_count == 0 || rules.end_tokens != nullptr, "end_tokens is NULL");
  check.array("end_tokens", rules.end_tokens, rules.end_token_count);
  for (int32_t i = 0; i < rules.end_token_count; i++) {
    check.that(rules.end_tokens[i] >= 0 && rules.end_tokens[i] < vocabulary, "end_tokens[", i,
               "] is ", rules.end_tokens[i], ", outside the ", vocabulary, " scores");
  }
  check.array("history_lengths", rules.history_lengths, rows);
  if (rules.history != nullptr) {
    check.stride("history_stride", rules.history_stride, rows);
    check.array("history", rules.history, rows * rules.history_stride);
  }
  const bool reads_history = rules.repetition_penalty != 1 || rules.no_repeat_ngram_size > 0;
  if ((!reads_history && rules.min_new_tokens == 0) || rows == 0) return;
  check.that(rules.history_lengths != nullptr, "history_lengths is NULL");
  check.that(!reads_history || rules.history != nullptr, "history is NULL");
  for (int64_t r = 0; r < rows; r++) {
    const int32_t length = rules.history_lengths[r];
    check.that(length >= 0 && length <= rules.history_stride, "history_lengths[", r, "] is ",
               length, ", not between 0 and history_stride, ", rules.history_stride);
    if (!reads_history) continue;
    const int32_t* history = rules.history + r * rules.history_stride;
    for (int32_t h = 0; h < length; h++) {
      check.that(history[h] >= 0 && history[h] < vocabulary, "history[", r, ", ", h, "] is ",
                 history[h], ", outside the ", vocabulary, " scores");
    }
  }
}

void check_rules_apart(const Check& check, std::initializer_list<Memory> outputs,
                       const precis_logit_rules& rules, int64_t rows) {
  check.outputs_apart(outputs, {{"history", rules.history,
                                 rules.history == nullptr ? 0 : rows * rules.history_stride},
                                {"history_lengths", rules.history_lengths, rows},
                                {"end_tokens", rules.end_tokens, rules.end_token_count}});
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
