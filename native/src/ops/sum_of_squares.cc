#include "check.h"

namespace precis {

void check_sum_of_squares(const Check& check, const precis_sum_of_squares_args& a) {
  check.tensor("x", a.x, 1, kFloat32);
  check.that(a.result != nullptr, "result is NULL");
  check.device_array("result", a.result, 1);
  check.apart({"result", a.result, 1}, {"x", a.x});
}

}  // namespace precis
