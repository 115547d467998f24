// The part of precis_process_logits that precis_sample shares: precis_logit_rules on one row.
#ifndef PRECIS_OPS_LOGIT_RULES_H_
#define PRECIS_OPS_LOGIT_RULES_H_

#include <initializer_list>

#include "ops/op.h"

namespace precis {

struct Memory;

// Throws Error unless every length, id and parameter fits scores of (rows, vocabulary).
void check_logit_rules(const Check& check, const precis_logit_rules& rules, int64_t rows,
                       int64_t vocabulary);
// No output lies inside the arrays of the rules.
void check_rules_apart(const Check& check, std::initializer_list<Memory> outputs,
                       const precis_logit_rules& rules, int64_t rows);

// The longest history that repetition_penalty looks at; 0 without it.
int64_t penalised_history(const precis_logit_rules& rules, int64_t rows);

// Applies the rules of row r to its scores. With a repetition penalty, originals[h] receives the
// score that token h of the history had.
void apply_logit_rules(const precis_logit_rules& rules, int64_t r, float* scores, float* originals);

}  // namespace precis

#endif  // PRECIS_OPS_LOGIT_RULES_H_
