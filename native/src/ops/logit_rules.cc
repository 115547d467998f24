#include "ops/logit_rules.h"

#include "check.h"
#include "ops/process_logits.h"

namespace precis {
namespace {

bool reads_history(const precis_row_rules& rules) {
  return rules.repetition_penalty != 1 || rules.no_repeat_ngram_size > 0;
}

// Checks the parameters of one row, or of all; where says which.
template <class... Where>
void check_parameters(const Check& check, const precis_row_rules& rules, const Where&... where) {
  check.that(rules.repetition_penalty > 0 && rules.repetition_penalty <= 3e38f, where...,
             "repetition_penalty is ", rules.repetition_penalty, ", not above 0 (1: none)");
  check.that(rules.no_repeat_ngram_size >= 0, where..., "no_repeat_ngram_size is ",
             rules.no_repeat_ngram_size);
  check.that(rules.min_new_tokens >= 0, where..., "min_new_tokens is ", rules.min_new_tokens);
}

constexpr precis_row_rules kEveryRule = {2, 1, 1, 0};

// Checks that what the rules of a row read is there; returns whether they read anything.
bool check_pointers(const Check& check, const precis_logit_rules& rules,
                    const precis_row_rules& own) {
  if (!reads_history(own) && own.min_new_tokens == 0) return false;
  check.that(rules.history_lengths != nullptr, "history_lengths is NULL");
  check.that(!reads_history(own) || rules.history != nullptr, "history is NULL");
  return true;
}

// Checks the history of row r.
void check_history(const Check& check, const precis_logit_rules& rules, int64_t r,
                   int64_t vocabulary) {
  const precis_row_rules own = rules_of_row(rules, r);
  if (!check_pointers(check, rules, own)) return;
  const int32_t length = rules.history_lengths[r];
  check.that(length >= 0 && length <= rules.history_stride, "history_lengths[", r, "] is ", length,
             ", not between 0 and history_stride, ", rules.history_stride);
  if (!reads_history(own)) return;
  const int32_t* history = rules.history + r * rules.history_stride;
  for (int32_t h = 0; h < length; h++) {
    check.that(history[h] >= 0 && history[h] < vocabulary, "history[", r, ", ", h, "] is ",
               history[h], ", outside the ", vocabulary, " scores");
  }
}

}  // namespace

void check_logit_rules(const Check& check, const precis_logit_rules& rules, int64_t rows,
                       int64_t vocabulary) {
  bool readable = check.readable("row_rules", rules.row_rules, rows);
  if (rules.row_rules == nullptr) {
    check_parameters(check, rules_of_row(rules, 0));
  } else if (readable) {
    for (int64_t r = 0; r < rows; r++) {
      check_parameters(check, rules.row_rules[r], "row_rules[", r, "]: ");
    }
  }
  check.that(rules.end_token_count >= 0, "end_token_count is ", rules.end_token_count);
  check.that(rules.end_token_count == 0 || rules.end_tokens != nullptr, "end_tokens is NULL");
  const bool ends = check.readable("end_tokens", rules.end_tokens, rules.end_token_count);
  for (int32_t i = 0; ends && i < rules.end_token_count; i++) {
    check.that(rules.end_tokens[i] >= 0 && rules.end_tokens[i] < vocabulary, "end_tokens[", i,
               "] is ", rules.end_tokens[i], ", outside the ", vocabulary, " scores");
  }
  // Where the host cannot read them, a row may have any rule.
  for (int64_t r = 0; r < rows; r++) {
    check_pointers(check, rules, readable ? rules_of_row(rules, r) : kEveryRule);
  }
  readable &= check.readable("history_lengths", rules.history_lengths, rows);
  if (rules.history != nullptr) {
    check.stride("history_stride", rules.history_stride, rows);
    readable &= check.readable("history", rules.history, rows * rules.history_stride);
  }
  for (int64_t r = 0; readable && r < rows; r++) check_history(check, rules, r, vocabulary);
}

void check_rules_apart(const Check& check, std::initializer_list<Memory> outputs,
                       const precis_logit_rules& rules, int64_t rows) {
  check.outputs_apart(outputs, {{"history", rules.history,
                                 rules.history == nullptr ? 0 : rows * rules.history_stride},
                                {"history_lengths", rules.history_lengths, rows},
                                {"row_rules", rules.row_rules, rows},
                                {"end_tokens", rules.end_tokens, rules.end_token_count}});
}

int64_t penalised_history(const precis_logit_rules& rules, int64_t rows) {
  int64_t longest = 0;
  if (rules.row_rules == nullptr && rules.repetition_penalty == 1) return 0;
  for (int64_t r = 0; r < rows; r++) {
    if (rules_of_row(rules, r).repetition_penalty != 1 && rules.history_lengths[r] > longest) {
      longest = rules.history_lengths[r];
    }
  }
  return longest;
}

void apply_logit_rules(const precis_logit_rules& rules, int64_t r, float* scores,
                       float* originals) {
  constexpr float kInfinity = __builtin_inff();
  const precis_row_rules own = rules_of_row(rules, r);
  const int32_t* history =
      rules.history == nullptr ? nullptr : rules.history + r * rules.history_stride;
  if (own.repetition_penalty != 1) {
    // All are read before any is written: a token that occurs twice is penalised once.
    const int32_t length = rules.history_lengths[r];
    for (int32_t h = 0; h < length; h++) originals[h] = scores[history[h]];
    for (int32_t h = 0; h < length; h++) {
      const float s = originals[h];
      scores[history[h]] = s < 0 ? s * own.repetition_penalty : s / own.repetition_penalty;
    }
  }
  const int32_t n = own.no_repeat_ngram_size;
  if (n > 0) {
    const int32_t length = rules.history_lengths[r];
    const int32_t* last = history + length - (n - 1);  // used only where length >= n
    for (int32_t i = 0; i + n <= length; i++) {
      int32_t same = 0;
      while (same < n - 1 && history[i + same] == last[same]) same++;
      if (same == n - 1) scores[history[i + n - 1]] = -kInfinity;
    }
  }
  if (own.min_new_tokens > 0 && rules.history_lengths[r] - 1 < own.min_new_tokens) {
    for (int32_t i = 0; i < rules.end_token_count; i++) scores[rules.end_tokens[i]] = -kInfinity;
  }
}

}  // namespace precis
