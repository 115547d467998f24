#include "check.h"

namespace precis {

void check_add_bias(const Check& check, const precis_add_bias_args& a) {
  check.tensor("y", a.y, 2, kFloats);
  check.tensor("bias", a.bias, 1, kFloat32);
  check.dim("bias", a.bias, 0, a.y.dims[1], "y's width");
  check.apart({"y", a.y}, {"bias", a.bias});
}

}  // namespace precis
