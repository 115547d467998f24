#include "ops/activation.h"

#include "check.h"

namespace precis {

void check_activation_kind(const Check& check, int32_t kind) {
  check.that(kind >= PRECIS_RELU && kind <= PRECIS_TANH, "kind ", kind, " is unknown");
}

void check_activation(const Check& check, const precis_activation_args& a) {
  check.tensor("x", a.x, 2, kFloats);
  check.tensor("y", a.y, 2, kFloats);
  check.dim("y", a.y, 0, a.x.dims[0], "x's number of rows");
  check_activation_kind(check, a.kind);
  if (a.gated) {
    check.dim("x", a.x, 1, 2 * a.y.dims[1], "twice y's width");
    check.apart({"y", a.y}, {"x", a.x});
  } else {
    check.dim("y", a.y, 1, a.x.dims[1], "x's width");
    check.same_or_apart("y", a.y, "x", a.x);
  }
}

}  // namespace precis
