#include "ops/attention_checks.h"

namespace precis {
namespace {

// A table of relative positions; optional.
void check_positions(const Check& check, const char* name, const precis_tensor& t,
                     const precis_tensor& q) {
  if (t.data == nullptr) return;
  check.tensor(name, t, 2, Dtypes(q.dtype));
  check.dim(name, t, 1, q.dims[1], "q's width");
  check.that(t.dims[0] % 2 == 1, name, " has ", t.dims[0],
             " rows, not 2 reach + 1: one for each relative position from -reach to reach");
}

}  // namespace

void check_disentangled_attention(const Check& check, const precis_disentangled_attention_args& a) {
  check.tensor("q", a.q, 2, kFloats);
  check.tensor("k", a.k, 2, Dtypes(a.q.dtype));
  check.tensor("v", a.v, 2, Dtypes(a.q.dtype));
  check.tensor("out", a.out, 2, kFloats);
  check.same_dims("k", a.k, "q", a.q);
  check.same_dims("v", a.v, "q", a.q);
  check.same_dims("out", a.out, "q", a.q);
  check_heads(check, a.q, a.heads, a.scale);
  check_positions(check, "position_keys", a.position_keys, a.q);
  check_positions(check, "position_queries", a.position_queries, a.q);
  check.that(a.sequences >= 0, "sequences is ", a.sequences);
  check_offsets(check, "offsets", a.offsets, a.sequences, "q", a.q);
  check.outputs_apart({{"out", a.out}}, {{"q", a.q},
                                         {"k", a.k},
                                         {"v", a.v},
                                         {"position_keys", a.position_keys},
                                         {"position_queries", a.position_queries},
                                         {"offsets", a.offsets, int64_t{a.sequences} + 1}});
}

}  // namespace precis
