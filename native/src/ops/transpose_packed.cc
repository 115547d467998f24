#include "check.h"

namespace precis {

void check_transpose_packed(const Check& check, const precis_transpose_packed_args& a) {
  check.packed("w", a.w, kFloats);
  check.packed("out", a.out, kFloats);
  check.that(a.w.dtype == a.out.dtype, "w is ", dtype_name(a.w.dtype), ", but out is ",
             dtype_name(a.out.dtype));
  check.that(a.out.outputs == a.w.inputs && a.out.inputs == a.w.outputs, "w is ", a.w.outputs,
             " x ", a.w.inputs, ", but out is ", a.out.outputs, " x ", a.out.inputs);
  check.apart(check.memory("out", a.out), check.memory("w", a.w));
}

}  // namespace precis
