#include "ops/norm_checks.h"

namespace precis {

void check_rms_norm(const Check& check, const precis_rms_norm_args& a) {
  check_norm(check, a.x, a.weight, a.y, a.epsilon);
}

}  // namespace precis
