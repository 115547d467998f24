#include "ops/attention_checks.h"
#include "ops/dropout_checks.h"
#include "random/dropout_mask.h"

namespace precis {
void check_attention(const Check& check, const precis_attention_args& a) {
  check.tensor("q", a.q, 2, kFloats);
  check.tensor("k", a.k, 2, Dtypes(a.q.dtype));
  check.tensor("v", a.v, 2, Dtypes(a.q.dtype));
  check.tensor("out", a.out, 2, kFloats);
  check.dim("k", a.k, 1, a.q.dims[1], "q's width");
  check.dim("v", a.v, 1, a.q.dims[1], "q's width");
  check.dim("v", a.v, 0, a.k.dims[0], "k's number of rows");
  check.dim("out", a.out, 0, a.q.dims[0], "q's number of rows");
  check.dim("out", a.out, 1, a.q.dims[1], "q's width");
  check_heads(check, a.q, a.heads, a.scale);
  check_relative_bias(check, a.bias, a.heads, a.bidirectional != 0, a.max_distance);
  check.that(a.sequences >= 0, "sequences is ", a.sequences);
  check_offsets(check, "query_offsets", a.query_offsets, a.sequences, "q", a.q);
  check_offsets(check, "key_offsets", a.key_offsets, a.sequences, "k", a.k);
  for (int32_t s = 0; s < a.sequences; s++) {
    check.that(
        a.query_offsets[s] == a.query_offsets[s + 1] || a.key_offsets[s] < a.key_offsets[s + 1],
        "sequence ", s, " has ", a.query_offsets[s + 1] - a.query_offsets[s],
        " queries and no keys");
  }
  if (a.log_sum_exp.data != nullptr) {
    check.tensor("log_sum_exp", a.log_sum_exp, 2, kFloat32);
    check.dim("log_sum_exp", a.log_sum_exp, 0, a.q.dims[0], "q's number of rows");
    check.dim("log_sum_exp", a.log_sum_exp, 1, a.heads, "heads");
  }
  check.fraction("dropout", a.dropout);
  check_dropout_rows(check, a.dropout_rows, "q", a.q);
  check.that(a.dropout == 0 || rows(a.q) <= kMaxAttentionDropoutRows / a.heads, "q has ", rows(a.q),
             " rows of ", a.heads, " heads, more than dropout can tell apart");
  const int64_t offsets = int64_t{a.sequences} + 1;
  check.outputs_apart({{"out", a.out}, {"log_sum_exp", a.log_sum_exp}},
                      {{"q", a.q},
                       {"k", a.k},
                       {"v", a.v},
                       {"bias", a.bias},
                       {"query_offsets", a.query_offsets, offsets},
                       {"key_offsets", a.key_offsets, offsets},
                       {"dropout_rows", a.dropout_rows}});
}

}  // namespace precis
