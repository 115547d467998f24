#include "ops/optimizer_checks.h"

namespace precis {

void check_optimizer_vectors(const Check& check, std::initializer_list<OptimizerVector> vectors) {
  const precis_tensor& first = vectors.begin()->tensor;
  for (const OptimizerVector* v = vectors.begin(); v != vectors.end(); v++) {
    check.tensor(v->name, v->tensor, 1, kFloat32);
    check.dim(v->name, v->tensor, 0, first.dims[0], "the number of parameters");
    for (const OptimizerVector* u = vectors.begin(); u != v; u++) {
      check.apart({v->name, v->tensor}, {u->name, u->tensor});
    }
  }
}

void check_optimizer_step(const Check& check, int64_t step, float learning_rate, float weight_decay,
                          float gradient_scale) {
  check.that(step >= 1, "step is ", step, ", not 1 or more");
  check.finite("learning_rate", learning_rate);
  check.finite("weight_decay", weight_decay);
  check.finite("gradient_scale", gradient_scale);
}

}  // namespace precis
