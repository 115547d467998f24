// Touches as many scores as the history is long: nothing to vectorise.

#include "context.h"
#include "ops/logit_rules.h"
#include "ops/process_logits.h"

namespace precis {
namespace PRECIS_ISA {

void process_logits_cpu(CpuContext& context, const precis_process_logits_args& a) {
  const int64_t m = rows(a.scores);
  const int64_t history = penalised_history(a.rules, m);
  float* originals = static_cast<float*>(
      context.scratch.reserve(static_cast<size_t>(m * history) * sizeof(float)));
  parallel_ranges(context.pool, m, 1 + 4096 / (1 + history), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      apply_logit_rules(a.rules, r, row<float>(a.scores, r), originals + r * history);
    }
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis
