#include "ops/activation_backward.h"

#include "check.h"
#include "ops/activation.h"

namespace precis {

void check_activation_backward(const Check& check, const precis_activation_backward_args& a) {
  check.tensor("x", a.x, 2, kFloats);
  check.tensor("dy", a.dy, 2, kFloats);
  check.tensor("dx", a.dx, 2, kFloats);
  check.same_dims("dx", a.dx, "x", a.x);
  check.dim("dy", a.dy, 0, a.x.dims[0], "x's number of rows");
  check_activation_kind(check, a.kind);
  check.apart({"dx", a.dx}, {"x", a.x});
  if (a.gated) {
    check.dim("x", a.x, 1, 2 * a.dy.dims[1], "twice dy's width");
    check.apart({"dx", a.dx}, {"dy", a.dy});
  } else {
    check.dim("dy", a.dy, 1, a.x.dims[1], "x's width");
    check.same_or_apart("dx", a.dx, "dy", a.dy);
  }
}

}  // namespace precis
