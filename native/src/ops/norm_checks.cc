#include "ops/norm_checks.h"

namespace precis {

void check_norm(const Check& check, const precis_tensor& x, const precis_tensor& weight,
                const precis_tensor& y, float epsilon) {
  check.tensor("x", x, 2, kFloat32);
  check.tensor("weight", weight, 1, kFloat32);
  check.tensor("y", y, 2, kFloats);
  check.dim("weight", weight, 0, x.dims[1], "x's width");
  check.same_dims("y", y, "x", x);
  check.that(x.dims[1] > 0, "x has no columns");
  check.not_negative("epsilon", epsilon);
  check.outputs_apart({{"y", y}}, {{"x", x}, {"weight", weight}});
}

void check_norm_backward(const Check& check, const precis_tensor& x, const precis_tensor& weight,
                         const precis_tensor& dy, const precis_tensor& dx, float epsilon) {
  check.tensor("x", x, 2, kFloat32);
  check.tensor("weight", weight, 1, kFloat32);
  check.tensor("dy", dy, 2, kFloats);
  check.tensor("dx", dx, 2, kFloat32);
  check.dim("weight", weight, 0, x.dims[1], "x's width");
  check.same_dims("dy", dy, "x", x);
  check.same_dims("dx", dx, "x", x);
  check.that(x.dims[1] > 0, "x has no columns");
  check.not_negative("epsilon", epsilon);
}

void check_vector_gradient(const Check& check, const char* name, const precis_tensor& gradient,
                           const precis_tensor& x) {
  if (gradient.data == nullptr) return;
  check.tensor(name, gradient, 1, kFloat32);
  check.dim(name, gradient, 0, x.dims[1], "x's width");
}

}  // namespace precis
