#include "ops/optimizer_checks.h"

namespace precis {

void check_adafactor(const Check& check, const precis_adafactor_args& a) {
  const bool matrix = a.parameter.rank == 2;
  check.tensor("parameter", a.parameter, {1, 2}, kFloat32);
  check.tensor("gradient", a.gradient, a.parameter.rank, kFloat32);
  check.tensor("row", a.row, 1, kFloat32);
  check.same_dims("gradient", a.gradient, "parameter", a.parameter);
  check.dim("row", a.row, 0, a.parameter.dims[0], "parameter's first dimension");
  check.outputs_apart({{"parameter", a.parameter}, {"row", a.row}}, {{"gradient", a.gradient}});
  if (matrix) {
    check.tensor("column", a.column, 1, kFloat32);
    check.dim("column", a.column, 0, a.parameter.dims[1], "parameter's width");
    check.outputs_apart({{"column", a.column}},
                        {{"parameter", a.parameter}, {"gradient", a.gradient}, {"row", a.row}});
  }
  check_optimizer_step(check, a.step, a.learning_rate, a.weight_decay, a.gradient_scale);
  check.that(a.decay_rate <= 0, "decay_rate is ", a.decay_rate, ", not 0 or less");
  check.not_negative("epsilon1", a.epsilon1);
  check.not_negative("epsilon2", a.epsilon2);
  check.that(a.clip_threshold > 0, "clip_threshold is ", a.clip_threshold, ", not above 0");
}

}  // namespace precis
