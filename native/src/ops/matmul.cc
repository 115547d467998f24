#include "ops/product_checks.h"

namespace precis {

void check_product(const Check& check, const precis_tensor& x, const precis_packed_matrix& w,
                   const precis_tensor& y, int32_t accumulate) {
  check.tensor("x", x, 2, kFloats);
  check.packed("w", w, kFloats | kInt8 | kInt4);
  check.tensor("y", y, 2, kFloats);
  check.dim("x", x, 1, w.inputs, "w's number of inputs");
  check.dim("y", y, 0, x.dims[0], "x's number of rows");
  check.dim("y", y, 1, w.outputs, "w's number of outputs");
  check.outputs_apart({{"y", y}}, {{"x", x}, check.memory("w", w)});
  check.that(!accumulate || y.dtype == PRECIS_FLOAT32, "accumulate needs y in float32, not ",
             dtype_name(y.dtype));
}

void check_matmul(const Check& check, const precis_matmul_args& a) {
  check_product(check, a.x, a.w, a.y, a.accumulate);
}

}  // namespace precis
