#include "check.h"

namespace precis {

void check_softmax(const Check& check, const precis_softmax_args& a) {
  check.tensor("x", a.x, 2, kFloat32);
  check.tensor("y", a.y, 2, kFloat32);
  check.same_dims("y", a.y, "x", a.x);
  check.that(a.x.dims[1] > 0, "x has no columns");
  check.same_or_apart("y", a.y, "x", a.x);
}

}  // namespace precis
