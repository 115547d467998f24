#include "ops/sample.h"

#include "check.h"
#include "ops/logit_rules.h"

namespace precis {
namespace {

// The parameters of sampling.
void check_distribution(const Check& check, const precis_sample_args& a, int64_t m) {
  check.that(a.temperature > 0 && a.temperature <= 3e38f, "temperature is ", a.temperature,
             ", not above 0");
  check.that(a.top_k >= 0, "top_k is ", a.top_k);
  check.that(a.top_p >= 0 && a.top_p <= 1, "top_p is ", a.top_p, ", not between 0 and 1");
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
  if (!a.greedy) check_distribution(check, a, m);
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
  check.outputs_apart(outputs, {{"streams", a.greedy ? nullptr : a.streams, m},
                                {"offsets", a.greedy ? nullptr : a.offsets, m}});
  check_rules_apart(check, outputs, a.rules, m);
}

}  // namespace precis
