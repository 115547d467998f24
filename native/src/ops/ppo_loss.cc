#include "ops/logit_checks.h"

namespace precis {
namespace {

struct Named {
  const char* name;
  const precis_tensor& tensor;
};

}  // namespace

void check_ppo_loss(const Check& check, const precis_ppo_loss_args& a) {
  check_logit_rows(check, a.x, a.w, a.w_transposed, "actions", a.actions, a.dx, a.dw, a.scale);
  for (const Named& n : {Named{"weights", a.weights},
                         {"old_log_probabilities", a.old_log_probabilities},
                         {"advantages", a.advantages},
                         {"log_probabilities", a.log_probabilities},
                         {"entropies", a.entropies},
                         {"policy_losses", a.policy_losses}}) {
    check.row_vector(n.name, n.tensor, a.x);
  }
  const bool values = a.values.data != nullptr;
  for (const Named& n : {Named{"old_values", a.old_values}, {"returns", a.returns}}) {
    check.that(values == (n.tensor.data != nullptr),
               "give values, old_values and returns or none of them");
  }
  for (const Named& n : {Named{"value_losses", a.value_losses}, {"dvalues", a.dvalues}}) {
    check.that(values || n.tensor.data == nullptr, "there is a ", n.name, ", but no values");
  }
  for (const Named& n : {Named{"reference_log_probabilities", a.reference_log_probabilities},
                         {"values", a.values},
                         {"old_values", a.old_values},
                         {"returns", a.returns},
                         {"value_losses", a.value_losses},
                         {"dvalues", a.dvalues}}) {
    if (n.tensor.data != nullptr) check.row_vector(n.name, n.tensor, a.x);
  }
  check.not_negative("clip_range_low", a.clip_range_low);
  check.not_negative("clip_range_high", a.clip_range_high);
  check.not_negative("clip_range_value", a.clip_range_value);
  check.finite("value_coefficient", a.value_coefficient);
  check.finite("entropy_coefficient", a.entropy_coefficient);
  check.finite("kl_coefficient", a.kl_coefficient);
  check.that(a.kl_coefficient == 0 || a.reference_log_probabilities.data != nullptr,
             "kl_coefficient is ", a.kl_coefficient,
             ", but there are no reference_log_probabilities");
  check.outputs_apart({{"log_probabilities", a.log_probabilities},
                       {"entropies", a.entropies},
                       {"policy_losses", a.policy_losses},
                       {"value_losses", a.value_losses},
                       {"dx", a.dx},
                       {"dw", a.dw},
                       {"dvalues", a.dvalues}},
                      {{"x", a.x},
                       {"actions", a.actions},
                       {"weights", a.weights},
                       {"old_log_probabilities", a.old_log_probabilities},
                       {"advantages", a.advantages},
                       {"reference_log_probabilities", a.reference_log_probabilities},
                       {"values", a.values},
                       {"old_values", a.old_values},
                       {"returns", a.returns},
                       check.memory("w", a.w),
                       transposed_memory(check, a.w_transposed, a.dx)});
}

}  // namespace precis
