#include "ops/lora_matmul.h"

#include <algorithm>
#include <string>

#include "ops/dropout_checks.h"
#include "ops/product_checks.h"

namespace precis {
namespace {

// Checks the adapters' matrices and the outputs and ranks of each segment. of names them: "" for
// those of all rows.
void check_adapters(const Check& check, const precis_lora_matmul_args& args,
                    const precis_packed_matrix& a, const precis_packed_matrix& b,
                    const precis_lora_segment* segments, int32_t segment_count,
                    const std::string& of) {
  const std::string a_name = of + "a", b_name = of + "b";
  check.packed(a_name.c_str(), a, kFloats);
  check.packed(b_name.c_str(), b, kFloats);
  check.that(a.dtype == b.dtype, a_name, " is ", dtype_name(a.dtype), ", but ", b_name, " is ",
             dtype_name(b.dtype));
  check.that(a.inputs == args.w.inputs, a_name, " has ", a.inputs,
             " inputs, but w's number of inputs is ", args.w.inputs);
  check.that(b.outputs == args.w.outputs, b_name, " has ", b.outputs,
             " outputs, but w's number of outputs is ", args.w.outputs);
  check.that(b.inputs == a.outputs, b_name, " has ", b.inputs, " inputs, but ", a_name,
             "'s number of outputs is ", a.outputs);
  check.that(segment_count >= 0 && segment_count <= PRECIS_MAX_LORA_SEGMENTS, of,
             "segment_count is ", segment_count, ", not between 0 and ", PRECIS_MAX_LORA_SEGMENTS);
  for (int i = 0; i < segment_count; i++) {
    const precis_lora_segment& s = segments[i];
    check.that(0 <= s.output_begin && s.output_begin <= s.output_end &&
                   s.output_end <= args.w.outputs && 0 <= s.rank_begin &&
                   s.rank_begin <= s.rank_end && s.rank_end <= a.outputs,
               of, "segments[", i, "] has outputs [", s.output_begin, ", ", s.output_end, ") of ",
               args.w.outputs, " and ranks [", s.rank_begin, ", ", s.rank_end, ") of ", a.outputs);
  }
}

// Checks the adapters that rows have for themselves.
void check_row_adapters(const Check& check, const precis_lora_matmul_args& a) {
  check.that(a.row_adapter_count >= 0, "row_adapter_count is ", a.row_adapter_count);
  if (a.row_adapter_count == 0) return;
  check.that(a.row_adapters != nullptr, "row_adapters is NULL, but row_adapter_count is ",
             a.row_adapter_count);
  check.aligned("row_adapters", a.row_adapters, alignof(precis_lora_rows));
  check.that(a.dropout_of == PRECIS_LORA_DROPOUT_NONE, "row_adapters cannot have dropout");
  int64_t begin = 0;
  for (int32_t i = 0; i < a.row_adapter_count; i++) {
    const precis_lora_rows& r = a.row_adapters[i];
    check.that(begin <= r.row_begin && r.row_begin <= r.row_end && r.row_end <= a.x.dims[0],
               "row_adapters[", i, "] has rows [", r.row_begin, ", ", r.row_end, ") of ",
               a.x.dims[0], ", behind row ", begin);
    begin = r.row_end;
    const std::string of = "row_adapters[" + std::to_string(i) + "].";
    check_adapters(check, a, r.a, r.b, r.segments, r.segment_count, of);
    check.that(r.a.dtype == a.a.dtype, of, "a is ", dtype_name(r.a.dtype), ", but a is ",
               dtype_name(a.a.dtype));
    check.outputs_apart({{"y", a.y}, {"down", a.down}}, {check.memory((of + "a").c_str(), r.a),
                                                         check.memory((of + "b").c_str(), r.b)});
  }
}

// Calls f(i, j) for every two segments, i < j.
template <class F>
void for_pairs_of_segments(const precis_lora_matmul_args& a, const F& f) {
  for (int j = 0; j < a.segment_count; j++) {
    for (int i = 0; i < j; i++) f(i, j);
  }
}

// Checks down, x A' . s, which has one column for each rank.
void check_down(const Check& check, const precis_lora_matmul_args& a) {
  check.tensor("down", a.down, 2, kFloat32);
  check.dim("down", a.down, 0, a.x.dims[0], "x's number of rows");
  check.dim("down", a.down, 1, a.a.outputs, "a's number of outputs");
  for_pairs_of_segments(a, [&](int i, int j) {
    const precis_lora_segment &s = a.segments[i], &t = a.segments[j];
    const int64_t first = std::max(s.rank_begin, t.rank_begin);
    check.that(s.scaling == t.scaling || first >= s.rank_end || first >= t.rank_end,
               "down has one column for rank ", first, ", but segments[", i, "] scales it by ",
               s.scaling, " and segments[", j, "] by ", t.scaling);
  });
}

void check_lora_dropout(const Check& check, const precis_lora_matmul_args& a) {
  check_dropout_rows(check, a.dropout_rows, "x", a.x);
  check.that(
      a.dropout_of >= PRECIS_LORA_DROPOUT_NONE && a.dropout_of <= PRECIS_LORA_DROPOUT_LOW_RANK,
      "dropout_of is ", a.dropout_of);
  if (a.dropout_of == PRECIS_LORA_DROPOUT_NONE) return;
  check.fraction("dropout", a.dropout);
  if (a.dropout_of == PRECIS_LORA_DROPOUT_X) {
    check.that(a.lora_x.data == nullptr, "dropout is of x, but there is a lora_x");
    return;
  }
  check.that(a.y.dtype == PRECIS_FLOAT32, "dropout of the low-rank term needs y in float32, not ",
             dtype_name(a.y.dtype));
  for_pairs_of_segments(a, [&](int i, int j) {
    const precis_lora_segment &s = a.segments[i], &t = a.segments[j];
    check.that(s.rank_begin >= t.rank_end || t.rank_begin >= s.rank_end,
               "with dropout of the low-rank term segments cannot share ranks, but segments[", i,
               "] and segments[", j, "] do");
  });
}

}  // namespace

void check_lora_matmul(const Check& check, const precis_lora_matmul_args& a) {
  check_product(check, a.x, a.w, a.y, a.accumulate);
  check_adapters(check, a, a.a, a.b, a.segments, a.segment_count, "");
  if (a.lora_x.data != nullptr) {
    check.tensor("lora_x", a.lora_x, 2, kFloats);
    check.same_dims("lora_x", a.lora_x, "x", a.x);
  }
  if (a.down.data != nullptr) check_down(check, a);
  check_lora_dropout(check, a);
  check_row_adapters(check, a);
  check.outputs_apart({{"y", a.y}, {"down", a.down}},
                      {{"x", a.x},
                       {"lora_x", a.lora_x},
                       check.memory("w", a.w),
                       check.memory("a", a.a),
                       check.memory("b", a.b),
                       {"row_adapters", a.row_adapters, a.row_adapter_count},
                       {"dropout_rows", a.dropout_rows}});
}

}  // namespace precis
