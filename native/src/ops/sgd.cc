#include "ops/optimizer_checks.h"

namespace precis {

void check_sgd(const Check& check, const precis_sgd_args& a) {
  check_optimizer_vectors(check, {{"parameter", a.parameter}, {"gradient", a.gradient}});
  check.fraction("momentum", a.momentum);
  if (a.momentum != 0) {
    check_optimizer_vectors(
        check, {{"parameter", a.parameter}, {"gradient", a.gradient}, {"buffer", a.buffer}});
  }
  check_optimizer_step(check, a.step, a.learning_rate, a.weight_decay, a.gradient_scale);
}

}  // namespace precis
