#include "check.h"

namespace precis {

void check_convert(const Check& check, const precis_convert_args& a) {
  check.tensor("x", a.x, {1, PRECIS_MAX_RANK}, kFloats);
  check.tensor("y", a.y, a.x.rank, kFloats);
  check.same_dims("y", a.y, "x", a.x);
  check.apart({"y", a.y}, {"x", a.x});
}

}  // namespace precis
