#include "check.h"

namespace precis {

void check_top_k(const Check& check, const precis_top_k_args& a) {
  check.tensor("x", a.x, 2, kFloat32);
  check.tensor("values", a.values, 2, kFloat32);
  check.tensor("indices", a.indices, 2, kInt32);
  check.dim("values", a.values, 0, a.x.dims[0], "x's number of rows");
  check.same_dims("indices", a.indices, "values", a.values);
  check.that(a.values.dims[1] > 0 && a.values.dims[1] <= a.x.dims[1], "k is ", a.values.dims[1],
             ", not between 1 and x's width, ", a.x.dims[1]);
  check.that(a.x.dims[1] <= INT32_MAX, "x has ", a.x.dims[1],
             " columns, more than int32 can count");
  check.outputs_apart({{"values", a.values}, {"indices", a.indices}}, {{"x", a.x}});
}

}  // namespace precis
