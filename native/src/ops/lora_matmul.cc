#include <algorithm>

#include "ops/product_checks.h"

namespace precis {
namespace {

// Checks the adapters' matrices and the outputs and ranks of each segment.
void check_adapters(const Check& check, const precis_lora_matmul_args& a) {
  check.packed("a", a.a, kFloats);
  check.packed("b", a.b, kFloats);
  check.that(a.a.dtype == a.b.dtype, "a is ", dtype_name(a.a.dtype), ", but b is ",
             dtype_name(a.b.dtype));
  check.that(a.a.inputs == a.w.inputs, "a has ", a.a.inputs,
             " inputs, but w's number of inputs is ", a.w.inputs);
  check.that(a.b.outputs == a.w.outputs, "b has ", a.b.outputs,
             " outputs, but w's number of outputs is ", a.w.outputs);
  check.that(a.b.inputs == a.a.outputs, "b has ", a.b.inputs,
             " inputs, but a's number of outputs is ", a.a.outputs);
  check.that(a.segment_count >= 0 && a.segment_count <= PRECIS_MAX_LORA_SEGMENTS,
             "segment_count is ", a.segment_count, ", not between 0 and ",
             PRECIS_MAX_LORA_SEGMENTS);
  for (int i = 0; i < a.segment_count; i++) {
    const precis_lora_segment& s = a.segments[i];
    check.that(0 <= s.output_begin && s.output_begin <= s.output_end &&
                   s.output_end <= a.w.outputs && 0 <= s.rank_begin && s.rank_begin <= s.rank_end &&
                   s.rank_end <= a.a.outputs,
               "segments[", i, "] has outputs [", s.output_begin, ", ", s.output_end, ") of ",
               a.w.outputs, " and ranks [", s.rank_begin, ", ", s.rank_end, ") of ", a.a.outputs);
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
  check_adapters(check, a);
  if (a.lora_x.data != nullptr) {
    check.tensor("lora_x", a.lora_x, 2, kFloats);
    check.same_dims("lora_x", a.lora_x, "x", a.x);
  }
  if (a.down.data != nullptr) check_down(check, a);
  check_lora_dropout(check, a);
  check.outputs_apart({{"y", a.y}, {"down", a.down}}, {{"x", a.x},
                                                       {"lora_x", a.lora_x},
                                                       check.memory("w", a.w),
                                                       check.memory("a", a.a),
                                                       check.memory("b", a.b)});
}

}  // namespace precis
