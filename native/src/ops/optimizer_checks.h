// Checks that optimizers share.
#ifndef PRECIS_OPS_OPTIMIZER_CHECKS_H_
#define PRECIS_OPS_OPTIMIZER_CHECKS_H_

#include "check.h"

namespace precis {

// A vector of the optimizer's state, as long as the parameter.
struct OptimizerVector {
  const char* name;
  const precis_tensor& tensor;
};

// Vectors are float32, of the length of the first one, and none lies inside another.
void check_optimizer_vectors(const Check& check, std::initializer_list<OptimizerVector> vectors);

// The parameters that every optimizer has.
void check_optimizer_step(const Check& check, int64_t step, float learning_rate, float weight_decay,
                          float gradient_scale);

}  // namespace precis

#endif  // PRECIS_OPS_OPTIMIZER_CHECKS_H_
