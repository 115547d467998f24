#include "ops/norm_checks.h"

namespace precis {

void check_rms_norm_backward(const Check& check, const precis_rms_norm_backward_args& a) {
  check_norm_backward(check, a.x, a.weight, a.dy, a.dx, a.epsilon);
  check_vector_gradient(check, "dweight", a.dweight, a.x);
  check.outputs_apart({{"dx", a.dx}, {"dweight", a.dweight}},
                      {{"x", a.x}, {"weight", a.weight}, {"dy", a.dy}});
}

}  // namespace precis
