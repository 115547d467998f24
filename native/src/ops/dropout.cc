#include "ops/dropout_checks.h"

namespace precis {

void check_dropout(const Check& check, const precis_dropout_args& a) {
  check.tensor("x", a.x, 2, kFloats);
  check.tensor("y", a.y, 2, kFloats);
  check.same_dims("y", a.y, "x", a.x);
  check.fraction("probability", a.probability);
  check_dropout_rows(check, a.dropout_rows, "x", a.x);
  if (a.accumulate) {
    check.that(a.y.dtype == PRECIS_FLOAT32, "accumulate needs y in float32, not ",
               dtype_name(a.y.dtype));
    check.apart({"y", a.y}, {"x", a.x});
  } else {
    check.same_or_apart("y", a.y, "x", a.x);
  }
  check.apart({"y", a.y}, {"dropout_rows", a.dropout_rows});
}

}  // namespace precis
