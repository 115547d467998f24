#include <algorithm>

#include "ops/logit_rows_ref.h"
#include "ops/ppo_loss.h"

namespace precis {
namespace {

// Returns the fraction of the gradient of max(a, b) that flows to a.
double share_of_first(double a, double b) { return a > b ? 1 : a < b ? 0 : 0.5; }

}  // namespace

void ppo_loss_ref(const precis_ppo_loss_args& a, const precis_matmul_pack_args& w) {
  const int64_t tokens = a.w.outputs;
  LogitRowsRef all(a.x, a.w.dtype, w, tokens, a.scale);
  auto at = [](const precis_tensor& t, int64_t m) { return load_element(t, 0, m); };
  for (int64_t m = 0; m < rows(a.x); m++) {
    const int32_t action = label_of(a.actions, m);
    std::vector<double> g(tokens, 0.0);
    double log_probability = 0, entropy = 0, policy = 0, value_loss = 0, dvalue = 0;
    if (action != kIgnoredLabel) {
      const double weight = at(a.weights, m);
      const std::vector<double> log_p = all.log_probabilities(m);
      log_probability = log_p[action];
      entropy = entropy_ref(log_p);

      const double advantage = at(a.advantages, m);
      const double ratio = std::exp(log_probability - at(a.old_log_probabilities, m));
      const double low = 1.0 - a.clip_range_low, high = 1.0 + a.clip_range_high;
      const double plain = -advantage * ratio;
      const double clipped = -advantage * std::clamp(ratio, low, high);
      policy = std::max(plain, clipped);
      const double share = share_of_first(plain, clipped);
      const bool inside = low <= ratio && ratio <= high;
      double c = (share + (inside ? 1 - share : 0)) * -advantage * ratio;
      if (a.reference_log_probabilities.data != nullptr) {
        const double ahead = at(a.reference_log_probabilities, m) - log_probability;
        c += a.kl_coefficient * (1 - std::exp(ahead));
      }
      for (int64_t v = 0; v < tokens; v++) {
        const double p = std::exp(log_p[v]);
        g[v] =
            weight * (c * ((v == action) - p) + a.entropy_coefficient * p * (log_p[v] + entropy));
      }

      if (a.values.data != nullptr) {
        const double value = at(a.values, m), old = at(a.old_values, m);
        const double least = old - a.clip_range_value, most = old + a.clip_range_value;
        const double error = value - at(a.returns, m);
        const double near_error = std::clamp(value, least, most) - at(a.returns, m);
        value_loss = std::max(error * error, near_error * near_error) / 2;
        const double part = share_of_first(error * error, near_error * near_error);
        const bool near = least <= value && value <= most;
        dvalue =
            weight * a.value_coefficient * (part * error + (near ? (1 - part) * near_error : 0));
      }
    }
    store_row(a.log_probabilities, m, log_probability);
    store_row(a.entropies, m, entropy);
    store_row(a.policy_losses, m, policy);
    store_row(a.value_losses, m, value_loss);
    store_row(a.dvalues, m, dvalue);
    all.add_gradient(m, g, a.dx, 1);
  }
  all.add_to(a.dw);
}

}  // namespace precis
