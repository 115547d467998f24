#include "context.h"
#include "error.h"
#include "ops/logit_rules.h"
#include "ops/row_errors.h"
#include "ops/row_groups.h"
#include "ops/sample.h"

namespace precis {
namespace PRECIS_ISA {

void sample_cpu(CpuContext& context, const precis_sample_args& a) {
  if (!a.greedy || a.log_probabilities != nullptr || a.warped_log_probabilities != nullptr ||
      a.probabilities.data != nullptr) {
    fail(PRECIS_UNSUPPORTED, "sample: only greedy tokens without probabilities so far");
  }
  const int64_t m = rows(a.logits), v = columns(a.logits);
  check_logit_rules("sample", a.rules, m, v);
  const int64_t history = penalised_history(a.rules, m), groups = group_count(v);
  const size_t bytes = static_cast<size_t>(history + groups) * sizeof(float);
  char* scratch = static_cast<char*>(
      context.scratch.reserve(bytes * static_cast<size_t>(context.pool.threads())));
  FirstRow refused;
  parallel(context.pool, [&](int thread, int threads) {
    float* originals = reinterpret_cast<float*>(scratch + bytes * static_cast<size_t>(thread));
    float* maxima = originals + history;
    for (int64_t r = m * thread / threads; r < m * (thread + 1) / threads; r++) {
      float* scores = row<float>(a.logits, r);
      apply_logit_rules(a.rules, r, scores, originals);
      const float largest = group_maxima(scores, v, maxima);
      if (!__builtin_isfinite(largest)) {
        refused.note(r, problem_of(largest));
        continue;
      }
      a.tokens[r] = static_cast<int32_t>(find_in_groups(scores, maxima, largest));
    }
  });
  refused.check("sample", "logits");
}

}  // namespace PRECIS_ISA
}  // namespace precis
