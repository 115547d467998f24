#include "check.h"

namespace precis {

void check_zero(const Check& check, const precis_zero_args& a) {
  check.tensor("y", a.y, {1, 2}, kEveryDtype);
}

}  // namespace precis
