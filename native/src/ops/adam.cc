#include "ops/optimizer_checks.h"

namespace precis {

void check_adam(const Check& check, const precis_adam_args& a) {
  check_optimizer_vectors(
      check, {{"parameter", a.parameter}, {"gradient", a.gradient}, {"m", a.m}, {"v", a.v}});
  check_optimizer_step(check, a.step, a.learning_rate, a.weight_decay, a.gradient_scale);
  check.fraction("beta1", a.beta1);
  check.fraction("beta2", a.beta2);
  check.not_negative("epsilon", a.epsilon);
}

}  // namespace precis
