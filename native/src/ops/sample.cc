#include "ops/sample.h"

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

// Checks the parameters, and returns whether a row is sampled rather than taken greedily.
bool check_rows(const Check& check, const precis_sample_args& a, int64_t m) {
  check.array("row_sampling", a.row_sampling, m);
  if (a.row_sampling == nullptr) {
    check_parameters(check, sampling_of_row(a, 0));
    return a.greedy == 0;
  }
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
  check.array("offsets", a.offsets, m);
  for (int64_t r = 0; r < m; r++) {
    check.that(a.offsets[r] >> 32 == 0, "offsets[", r, "] is ", a.offsets[r], ", not below 2^32");
  }
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
}

}  // namespace precis
