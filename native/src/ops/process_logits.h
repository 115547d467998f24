// Logit processors on scores (M, V) float32, in place and in this order:
//
//   repetition penalty p (Keskar et al. 2019)   every distinct token of the history once:
//                                               s = s < 0 ? s p : s / p
//   no-repeat n-gram                            -inf for a token that would complete an n-gram that
//                                               the history already holds
//   minimum length                              -inf for the end tokens while fewer than
//                                               min_new_tokens were generated
#ifndef PRECIS_OPS_PROCESS_LOGITS_H_
#define PRECIS_OPS_PROCESS_LOGITS_H_

#include "ops/op.h"
#include "random/portable_math.h"

namespace precis {

// Returns the rules of row r.
PRECIS_HOST_DEVICE static inline precis_row_rules rules_of_row(const precis_logit_rules& rules,
                                                               int64_t r) {
  if (rules.row_rules != nullptr) return rules.row_rules[r];
  return {rules.repetition_penalty, rules.no_repeat_ngram_size, rules.min_new_tokens, 0};
}

void process_logits_ref(const precis_process_logits_args& a);
PRECIS_DECLARE_CPU_KERNEL(process_logits_cpu, precis_process_logits_args)

}  // namespace precis

#endif  // PRECIS_OPS_PROCESS_LOGITS_H_
