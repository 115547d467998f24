#include "check.h"

namespace precis {

void check_weight_gradient(const Check& check, const precis_weight_gradient_args& a) {
  check.tensor("dy", a.dy, 2, kFloats);
  check.tensor("x", a.x, 2, kFloats);
  check.tensor("dw", a.dw, 2, kFloat32);
  check.dim("x", a.x, 0, a.dy.dims[0], "dy's number of rows");
  check.dim("dw", a.dw, 0, a.dy.dims[1], "dy's width");
  check.dim("dw", a.dw, 1, a.x.dims[1], "x's width");
  check.outputs_apart({{"dw", a.dw}}, {{"dy", a.dy}, {"x", a.x}});
  check.that(kFloats.has(a.dtype), "the product cannot be in ", dtype_name(a.dtype), " (dtype ",
             a.dtype, ")");
}

}  // namespace precis
