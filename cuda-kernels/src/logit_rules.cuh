// precis_logit_rules on one row of scores, by a block; used by process_logits and sample.
#ifndef PRECIS_CUDA_LOGIT_RULES_CUH_
#define PRECIS_CUDA_LOGIT_RULES_CUH_

#include "cuda_context.h"
#include "ops/process_logits.h"

namespace precis {

PRECIS_HOST_DEVICE static inline bool has_rules(const precis_row_rules& rules) {
  return rules.repetition_penalty != 1 || rules.no_repeat_ngram_size != 0 ||
         rules.min_new_tokens != 0;
}

// The size of the scores of the history's tokens before the penalty: (rows, history_stride) floats.
static inline int64_t originals_floats(const precis_logit_rules& rules, int64_t rows) {
  const bool penalized = rules.row_rules != nullptr || rules.repetition_penalty != 1;
  return penalized ? rows * rules.history_stride : 0;
}

PRECIS_HOST_DEVICE static inline bool parameters_fit(const precis_row_rules& rules) {
  return rules.repetition_penalty > 0 && rules.repetition_penalty <= 3e38f &&
         rules.no_repeat_ngram_size >= 0 && rules.min_new_tokens >= 0;
}

// Returns whether the row's parameters, length and ids are in range, which the host cannot check;
// otherwise notes the problem.
__device__ inline bool rules_fit(const precis_logit_rules& rules, int64_t r, int vocabulary,
                                 ProblemOp op, unsigned long long* problem) {
  const precis_row_rules own = rules_of_row(rules, r);
  if (!parameters_fit(own)) {
    if (thread() == 0) note_problem(problem, op, r, ProblemKind::kParameter);
    return false;
  }
  const int32_t length = rules.history_lengths[r];
  const bool fits = length >= 0 && length <= rules.history_stride;
  const bool reads_history = own.repetition_penalty != 1 || own.no_repeat_ngram_size > 0;
  const int threads = static_cast<int>(blockDim.x);
  auto is_token = [&](int32_t id) { return id >= 0 && id < vocabulary; };
  int unknown = 0;
  for (int32_t h = thread(); fits && reads_history && h < length; h += threads) {
    unknown += !is_token(rules.history[r * rules.history_stride + h]);
  }
  for (int32_t i = thread(); own.min_new_tokens > 0 && i < rules.end_token_count; i += threads) {
    unknown += !is_token(rules.end_tokens[i]);
  }
  unknown = block_reduce(unknown, Sum());
  if (fits && unknown == 0) return true;
  if (thread() == 0) note_problem(problem, op, r, fits ? ProblemKind::kId : ProblemKind::kLength);
  return false;
}

// Applies rules that rules_fit has accepted to the tokens of row r in global memory for which
// is_own(token) holds; originals[h] receives the score that token h of the history had, if it is one
// of them. The block may read them when this returns.
template <class IsOwn>
__device__ inline void apply_rules(const precis_logit_rules& rules, int64_t r, const IsOwn& is_own,
                                   float* scores, float* originals) {
  const int threads = static_cast<int>(blockDim.x);
  const int32_t* history =
      rules.history == nullptr ? nullptr : rules.history + r * rules.history_stride;
  const int32_t length = rules.history_lengths[r];
  const precis_row_rules own = rules_of_row(rules, r);
  if (own.repetition_penalty != 1) {
    // All scores are read before any is written, so a token that occurs twice is penalized once.
    for (int32_t h = thread(); h < length; h += threads) {
      if (is_own(history[h])) originals[h] = scores[history[h]];
    }
    __syncthreads();
    for (int32_t h = thread(); h < length; h += threads) {
      if (!is_own(history[h])) continue;
      const float s = originals[h];
      scores[history[h]] = s < 0 ? s * own.repetition_penalty : s / own.repetition_penalty;
    }
    __syncthreads();
  }
  const int32_t n = own.no_repeat_ngram_size;
  if (n > 0) {
    const int32_t* last = history + length - (n - 1);  // read only where length >= n
    for (int32_t i = thread(); i + n <= length; i += threads) {
      int32_t same = 0;
      while (same < n - 1 && history[i + same] == last[same]) same++;
      if (same == n - 1 && is_own(history[i + n - 1])) scores[history[i + n - 1]] = -INFINITY;
    }
  }
  if (own.min_new_tokens > 0 && length - 1 < own.min_new_tokens) {
    for (int32_t i = thread(); i < rules.end_token_count; i += threads) {
      if (is_own(rules.end_tokens[i])) scores[rules.end_tokens[i]] = -INFINITY;
    }
  }
  __syncthreads();
}

}  // namespace precis

#endif  // PRECIS_CUDA_LOGIT_RULES_CUH_
