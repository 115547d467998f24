#include "ops/sample.h"

#include <cstring>

#include "check.h"
#include "ops/logit_rules.h"

namespace precis {
namespace {

// Checks the parameters of one row, or of all; where says which.
template <class... Where>
void check_parameters(const Check& check, const precis_row_sampling& a, const Where&... where) {
  if (a.greedy != 0) return;
  check.that(a.temperature > 0 && a.temperature <= 3e38f, where..., "temperature is ",
             a.temperature, ", not above 0");
  check.that(a.top_k >= 0, where..., "top_k is ", a.top_k);
  check.that(a.top_p >= 0 && a.top_p <= 1, where..., "top_p is ", a.top_p, ", not between 0 and 1");
}

// Checks the parameters, and returns whether a row may be sampled rather than taken greedily.
bool check_rows(const Check& check, const precis_sample_args& a, int64_t m) {
  const bool readable = check.readable("row_sampling", a.row_sampling, m);
  if (a.row_sampling == nullptr) {
    check_parameters(check, sampling_of_row(a, 0));
    return a.greedy == 0;
  }
  if (!readable) return true;
  bool any = false;
  for (int64_t r = 0; r < m; r++) {
    check_parameters(check, a.row_sampling[r], "row_sampling[", r, "]: ");
    any |= a.row_sampling[r].greedy == 0;
  }
  return any;
}

// Checks where the random numbers come from.
void check_noise(const Check& check, const precis_sample_args& a, int64_t m) {
  check.that(a.streams != nullptr || m == 0, "streams is NULL");
  check.that(a.offsets != nullptr || m == 0, "offsets is NULL");
  check.device_array("streams", a.streams, m);
  const bool readable = check.readable("offsets", a.offsets, m);
  for (int64_t r = 0; readable && r < m; r++) {
    check.that(a.offsets[r] >> 32 == 0, "offsets[", r, "] is ", a.offsets[r], ", not below 2^32");
  }
}

// An advanced array lies apart from what the rows are chosen by, but may be the one that it advances.
void check_advanced(const Check& check, const Memory& next, const char* may_be,
                    std::initializer_list<Memory> inputs) {
  for (const Memory& input : inputs) {
    if (input.data == next.data && std::strcmp(input.name, may_be) == 0) continue;
    check.apart(next, input);
  }
}

// Checks where the tokens are appended, apart from their overlaps with other outputs.
void check_next(const Check& check, const precis_sample_args& a, int64_t m) {
  const precis_logit_rules& rules = a.rules;
  check.that(a.next_lengths != nullptr, "next_lengths is NULL beside next_ids");
  check.that(a.next_history != nullptr, "next_history is NULL beside next_ids");
  check.that(a.next_offsets != nullptr, "next_offsets is NULL beside next_ids");
  check.that(rules.history_lengths != nullptr, "history_lengths is NULL beside next_ids");
  check.stride("history_stride", rules.history_stride, m);
  const int64_t tokens = m * rules.history_stride;
  check.device_array("next_ids", a.next_ids, m);
  check.device_array("next_lengths", a.next_lengths, m);
  check.device_array("next_history", a.next_history, tokens);
  check.device_array("next_offsets", a.next_offsets, m);
  const bool readable = check.readable("history_lengths", rules.history_lengths, m);
  for (int64_t r = 0; readable && r < m; r++) {
    const int32_t length = rules.history_lengths[r];
    check.that(length >= 0 && length < rules.history_stride, "history_lengths[", r, "] is ", length,
               ", and next_history has no place for another token: history_stride is ",
               rules.history_stride);
  }
  const Memory ids = {"next_ids", a.next_ids, m}, lengths = {"next_lengths", a.next_lengths, m};
  const Memory history = {"next_history", a.next_history, tokens};
  const Memory offsets = {"next_offsets", a.next_offsets, m};
  check.outputs_apart({ids, lengths, history, offsets},
                      {{"logits", a.logits},
                       {"tokens", a.tokens, m},
                       {"log_probabilities", a.log_probabilities, m},
                       {"warped_log_probabilities", a.warped_log_probabilities, m},
                       {"probabilities", a.probabilities},
                       {"streams", a.streams, m},
                       {"row_sampling", a.row_sampling, m},
                       {"row_rules", rules.row_rules, m},
                       {"end_tokens", rules.end_tokens, rules.end_token_count}});
  const std::initializer_list<Memory> advanced = {
      {"history", rules.history, rules.history == nullptr ? 0 : tokens},
      {"history_lengths", rules.history_lengths, m},
      {"offsets", a.offsets, m}};
  check_advanced(check, ids, "", advanced);
  check_advanced(check, lengths, "history_lengths", advanced);
  check_advanced(check, history, "history", advanced);
  check_advanced(check, offsets, "offsets", advanced);
}

}  // namespace

void check_sample(const Check& check, const precis_sample_args& a) {
  check.tensor("logits", a.logits, 2, kFloat32);
  check.that(a.logits.dims[1] > 0 && a.logits.dims[1] <= kMaxSampledTokens, "logits has ",
             a.logits.dims[1], " columns, not between 1 and ", kMaxSampledTokens);
  const int64_t m = a.logits.dims[0];
  check.that(a.tokens != nullptr || m == 0, "tokens is NULL");
  check.device_array("tokens", a.tokens, m);
  check.device_array("log_probabilities", a.log_probabilities, m);
  check.device_array("warped_log_probabilities", a.warped_log_probabilities, m);
  const bool sampled = check_rows(check, a, m);
  if (sampled) check_noise(check, a, m);
  if (a.probabilities.data != nullptr) {
    check.tensor("probabilities", a.probabilities, 2, kFloat32);
    check.dim("probabilities", a.probabilities, 0, m, "logits' number of rows");
    check.dim("probabilities", a.probabilities, 1, a.logits.dims[1], "logits' width");
  }
  check_logit_rules(check, a.rules, m, a.logits.dims[1]);
  const std::initializer_list<Memory> outputs = {
      {"logits", a.logits},
      {"tokens", a.tokens, m},
      {"log_probabilities", a.log_probabilities, m},
      {"warped_log_probabilities", a.warped_log_probabilities, m},
      {"probabilities", a.probabilities}};
  check.outputs_apart(outputs, {{"streams", sampled ? a.streams : nullptr, m},
                                {"offsets", sampled ? a.offsets : nullptr, m},
                                {"row_sampling", a.row_sampling, m}});
  check_rules_apart(check, outputs, a.rules, m);
  if (a.next_ids != nullptr && m > 0) check_next(check, a, m);
}

}  // namespace precis
