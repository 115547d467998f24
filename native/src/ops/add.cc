#include "check.h"

namespace precis {

void check_add(const Check& check, const precis_add_args& a) {
  check.tensor("x", a.x, 2, kFloats);
  check.tensor("y", a.y, 2, kFloats);
  check.same_dims("y", a.y, "x", a.x);
  check.apart({"y", a.y}, {"x", a.x});
}

}  // namespace precis
