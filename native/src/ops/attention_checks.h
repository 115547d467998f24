// Checks that attention, its gradient and its decoding step share.
#ifndef PRECIS_OPS_ATTENTION_CHECKS_H_
#define PRECIS_OPS_ATTENTION_CHECKS_H_

#include "check.h"

namespace precis {

void check_heads(const Check& check, const precis_tensor& q, int32_t heads, float scale);

// The table of relative position biases; optional.
void check_relative_bias(const Check& check, const precis_tensor& bias, int32_t heads,
                         bool bidirectional, int32_t max_distance);

// Offsets of sequences that together are the rows of t.
void check_offsets(const Check& check, const char* name, const int32_t* offsets, int32_t sequences,
                   const char* tensor, const precis_tensor& t);

}  // namespace precis

#endif  // PRECIS_OPS_ATTENTION_CHECKS_H_
