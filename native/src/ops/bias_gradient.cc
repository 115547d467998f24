#include "check.h"

namespace precis {

void check_bias_gradient(const Check& check, const precis_bias_gradient_args& a) {
  check.tensor("dy", a.dy, 2, kFloats);
  check.tensor("dbias", a.dbias, 1, kFloat32);
  check.dim("dbias", a.dbias, 0, a.dy.dims[1], "dy's width");
  check.apart({"dbias", a.dbias}, {"dy", a.dy});
}

}  // namespace precis
