#include "ops/attention_checks.h"

#include "ops/relative_position.h"

namespace precis {

void check_heads(const Check& check, const precis_tensor& q, int32_t heads, float scale) {
  check.that(heads > 0, "heads is ", heads);
  check.that(columns(q) > 0 && columns(q) % heads == 0, "q has rows of ", columns(q),
             " elements, which is not a multiple of ", heads, " heads");
  check.finite("scale", scale);
}

void check_relative_bias(const Check& check, const precis_tensor& bias, int32_t heads,
                         bool bidirectional, int32_t max_distance) {
  if (bias.data == nullptr) return;
  check.tensor("bias", bias, 2, kFloat32);
  check.dim("bias", bias, 1, heads, "heads");
  const int32_t least = bidirectional ? 4 : 2;
  check.that(bias.dims[0] >= least && bias.dims[0] <= INT32_MAX, "bias has ", bias.dims[0],
             " buckets, not ", least, " or more");
  const int32_t exact = exact_buckets(static_cast<int32_t>(bias.dims[0]), bidirectional);
  check.that(max_distance > exact, "max_distance is ", max_distance, ", but ", bias.dims[0],
             " buckets hold the first ", exact, " distances one by one");
}

void check_offsets(const Check& check, const char* name, const int32_t* offsets, int32_t sequences,
                   const char* tensor, const precis_tensor& t) {
  check.that(offsets != nullptr, name, " is NULL");
  check.array(name, offsets, int64_t{sequences} + 1);
  check.that(offsets[0] == 0, name, "[0] is ", offsets[0], ", not 0");
  for (int32_t s = 0; s < sequences; s++) {
    check.that(offsets[s] <= offsets[s + 1], name, "[", s + 1, "] is ", offsets[s + 1],
               ", less than the ", offsets[s], " before it");
  }
  check.that(offsets[sequences] == rows(t), name, " ends with ", offsets[sequences], ", but ",
             tensor, " has ", rows(t), " rows");
}

}  // namespace precis
