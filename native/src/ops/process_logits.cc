#include "check.h"
#include "ops/logit_rules.h"

namespace precis {

void check_process_logits(const Check& check, const precis_process_logits_args& a) {
  check.tensor("scores", a.scores, 2, kFloat32);
  const int64_t m = a.scores.dims[0];
  check_logit_rules(check, a.rules, m, a.scores.dims[1]);
  check_rules_apart(check, {{"scores", a.scores}}, a.rules, m);
}

}  // namespace precis
