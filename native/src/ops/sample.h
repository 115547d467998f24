// One token per row, sampled from logits (M, V) float32. After the rules (process_logits.h), with l
// the logits of a row, L the largest of them and T the temperature:
//
//   z_i = (l_i - L) / T        m_i = floor(2^40 exp(z_i))      the mass of token i, an integer
//   top-k       keeps every l_i >= the k-th largest
//   top-p       S = sum of m_i over what top-k kept. In the order of (l_i, i), ascending, tokens
//   are
//               dropped as long as their running sum is at most floor((1 - p) S), but never the
//               last. So of equal logits at the boundary the lower indices go first; transformers'
//               TopPLogitsWarper, otherwise the same, leaves that to an unstable sort.
//   token       the kept i with the largest z_i + gumbel_noise(seed, stream, offset, i), the lowest
//               index among equals
//
//   log_probabilities          log softmax of the logits as they came in, at the token
//   warped_log_probabilities   z_token - log(sum of kept m_i 2^-40)
//   probabilities              exp(z_i) over the same sum for the kept, 0 for the others
//
// exp, log and the noise are those of random/, sums of m are exact: the same bits on every device,
// in whatever order it works. greedy: the largest logit, the lowest index among equals, with a
// point mass as the sampled distribution.
//
// With next_ids each row's token is appended when it has been chosen, with l = history_lengths[r]:
//
//   next_ids[r] = next_history[r, l] = token,   next_offsets[r] = l,   next_lengths[r] = l + 1
//
// NaN, +inf and a row of nothing but -inf are invalid arguments; what the outputs and the logits
// then hold is undefined. Offsets are below 2^32.
#ifndef PRECIS_OPS_SAMPLE_H_
#define PRECIS_OPS_SAMPLE_H_

#include "ops/op.h"
#include "random/gumbel.h"

namespace precis {

// The widest row that may be sampled from: so many masses still fit in uint64.
constexpr int64_t kMaxSampledTokens = 1 << 22;

// exp(z) as an integer, z <= 0.
PRECIS_HOST_DEVICE static inline uint64_t sample_mass(float z) {
  return static_cast<uint64_t>(portable_exp(z) * 0x1p40f);
}
// Below this z the mass is 0.
constexpr float kMasslessBelow = -28.0f;

// Returns the mass that top-p may drop of a total mass > 0: less than all of it.
PRECIS_HOST_DEVICE static inline uint64_t sample_droppable(float top_p, uint64_t total) {
  const uint64_t limit = static_cast<uint64_t>((1.0 - top_p) * static_cast<double>(total));
  return limit < total ? limit : total - 1;
}

// Returns how row r is sampled.
PRECIS_HOST_DEVICE static inline precis_row_sampling sampling_of_row(const precis_sample_args& a,
                                                                     int64_t r) {
  if (a.row_sampling != nullptr) return a.row_sampling[r];
  return {a.seed, a.temperature, a.top_k, a.top_p, a.greedy};
}

// Appends the token of row r, whose history has length tokens so far.
PRECIS_HOST_DEVICE static inline void append_sampled(const precis_sample_args& a, int64_t r,
                                                     int32_t length, int32_t token) {
  a.next_ids[r] = token;
  a.next_history[r * a.rules.history_stride + length] = token;
  a.next_offsets[r] = static_cast<uint64_t>(length);
  a.next_lengths[r] = length + 1;
}

// The logarithm of a sum of masses.
PRECIS_HOST_DEVICE static inline float sample_log_mass(uint64_t mass) {
  return portable_log(static_cast<float>(mass) * 0x1p-40f);
}

void sample_ref(const precis_sample_args& a);
PRECIS_DECLARE_CPU_KERNEL(sample_cpu, precis_sample_args)

}  // namespace precis

#endif  // PRECIS_OPS_SAMPLE_H_
