#include "ops/norm_checks.h"

namespace precis {

void check_layer_norm(const Check& check, const precis_layer_norm_args& a) {
  check_norm(check, a.x, a.weight, a.y, a.epsilon);
  check.tensor("bias", a.bias, 1, kFloat32);
  check.dim("bias", a.bias, 0, a.x.dims[1], "x's width");
  check.apart({"y", a.y}, {"bias", a.bias});
}

}  // namespace precis
