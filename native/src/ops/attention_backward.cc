#include "check.h"

namespace precis {

void check_attention_backward(const Check& check, const precis_attention_backward_args& b) {
  const precis_attention_args& a = b.forward;
  check_attention(check, a);
  check.that(a.log_sum_exp.data != nullptr || rows(a.q) == 0,
             "log_sum_exp is missing: forward must have been asked for it");
  check.tensor("dout", b.dout, 2, kFloats);
  check.same_dims("dout", b.dout, "q", a.q);
  check.tensor("dq", b.dq, 2, kFloats);
  check.same_dims("dq", b.dq, "q", a.q);
  check.tensor("dk", b.dk, 2, kFloats);
  check.same_dims("dk", b.dk, "k", a.k);
  check.tensor("dv", b.dv, 2, kFloats);
  check.same_dims("dv", b.dv, "v", a.v);
  if (b.dbias.data != nullptr) {
    check.that(a.bias.data != nullptr, "there is a dbias, but no bias");
    check.tensor("dbias", b.dbias, 2, kFloat32);
    check.same_dims("dbias", b.dbias, "bias", a.bias);
  }
  const int64_t offsets = int64_t{a.sequences} + 1;
  check.outputs_apart({{"dq", b.dq}, {"dk", b.dk}, {"dv", b.dv}, {"dbias", b.dbias}},
                      {{"q", a.q},
                       {"k", a.k},
                       {"v", a.v},
                       {"out", a.out},
                       {"bias", a.bias},
                       {"log_sum_exp", a.log_sum_exp},
                       {"dout", b.dout},
                       {"query_offsets", a.query_offsets, offsets},
                       {"key_offsets", a.key_offsets, offsets},
                       {"dropout_rows", a.dropout_rows}});
}

}  // namespace precis
