#include "check.h"

namespace precis {

void check_transpose_packed(const Check& check, const precis_transpose_packed_args& a) {
  check.packed("w", a.w, kFloats | kInt8 | kInt4);
  check.packed("out", a.out, kFloats);
  const bool quantized = a.w.dtype == PRECIS_INT8 || a.w.dtype == PRECIS_INT4;
  check.that(a.out.dtype == (quantized ? PRECIS_BFLOAT16 : a.w.dtype), "w is ",
             dtype_name(a.w.dtype), ", but out is ", dtype_name(a.out.dtype));
  check.that(a.out.outputs == a.w.inputs && a.out.inputs == a.w.outputs, "w is ", a.w.outputs,
             " x ", a.w.inputs, ", but out is ", a.out.outputs, " x ", a.out.inputs);
  check.apart(check.memory("out", a.out), check.memory("w", a.w));
}

}  // namespace precis
