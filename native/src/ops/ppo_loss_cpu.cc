#include "ops/logit_rows.h"
#include "ops/ppo_loss.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

double element(const precis_tensor& t, int64_t m) { return static_cast<const float*>(t.data)[m]; }

// A function's value and its derivative.
struct Sloped {
  double value, slope;
};

// Returns max(a, b). For equal values, or NaN, the slope is the mean of both. The other value may
// be infinite.
Sloped larger(Sloped a, Sloped b) {
  if (a.value > b.value) return a;
  if (a.value < b.value) return b;
  return {a.value == b.value ? a.value : a.value + b.value, (a.slope + b.slope) / 2};
}

// clamp(x, low, high) and its derivative, which is 1 on the bounds too.
Sloped clamped(double x, double low, double high) {
  if (x < low) return {low, 0};
  if (x > high) return {high, 0};
  return {x, 1};
}

// The slope is the derivative with respect to the log-probability.
Sloped policy_loss(const precis_ppo_loss_args& a, double ratio, double advantage) {
  const Sloped r = clamped(ratio, 1.0 - a.clip_range_low, 1.0 + a.clip_range_high);
  return larger({-advantage * ratio, -advantage * ratio},
                {-advantage * r.value, r.slope == 0 ? 0 : -advantage * ratio});
}

// The slope is the derivative with respect to the value.
Sloped value_loss(const precis_ppo_loss_args& a, int64_t m) {
  const double value = element(a.values, m), old = element(a.old_values, m);
  const double target = element(a.returns, m), range = a.clip_range_value;
  const Sloped near = clamped(value, old - range, old + range);
  auto squared = [](double error, double slope) {
    return Sloped{error * error / 2, error * slope};
  };
  return larger(squared(value - target, 1), squared(near.value - target, near.slope));
}

}  // namespace

void ppo_loss_cpu(CpuContext& context, const precis_ppo_loss_args& a) {
  const int32_t* actions = static_cast<const int32_t*>(a.actions.data);
  const LogitRows all = {a.x, a.w, a.w_transposed, actions, a.scale, a.dx, a.dw, 1};
  const int64_t tokens = a.w.outputs;
  const double bonus = a.entropy_coefficient;
  for (int64_t m = 0; m < rows(a.x); m++) {
    const bool left_out = actions[m] == kIgnoredLabel;
    if (left_out) {
      for (const precis_tensor& t : {a.log_probabilities, a.entropies, a.policy_losses}) {
        put(t, m, 0);
      }
    }
    if (a.values.data != nullptr) {
      const Sloped loss = left_out ? Sloped{0, 0} : value_loss(a, m);
      put(a.value_losses, m, loss.value);
      put(a.dvalues, m, left_out ? 0 : element(a.weights, m) * a.value_coefficient * loss.slope);
    }
  }
  for_logit_rows(context, all, [&](int64_t m, float* z, const float*) {
    const int32_t action = actions[m];
    const float of_action = z[action];
    // With an entropy bonus the logits are needed a second time.
    const bool keep = all.wants_gradient() && bonus == 0;
    const LogitSums s =
        sums_of(z, tokens, keep ? z : nullptr, [](int64_t, auto, Vec d, Vec e) { return d * e; });
    const double entropy = s.log_sum - s.terms / s.sum;
    put(a.log_probabilities, m, of_action - s.largest - s.log_sum);
    put(a.entropies, m, entropy);
    const double log_probability = element(a.log_probabilities, m);
    const double ratio = __builtin_exp(log_probability - element(a.old_log_probabilities, m));
    const Sloped loss = policy_loss(a, ratio, element(a.advantages, m));
    put(a.policy_losses, m, loss.value);
    if (!all.wants_gradient()) return;
    const double weight = element(a.weights, m);
    double c = loss.slope;
    if (a.kl_coefficient != 0) {
      const double ahead = element(a.reference_log_probabilities, m) - log_probability;
      c += a.kl_coefficient * (1 - __builtin_exp(ahead));
    }
    c *= weight;
    if (keep) {
      const Vec factor = Vec::set1(static_cast<float>(-c / s.sum));
      put_gradient(all, z, action, c * (1 - z[action] / s.sum), [&](Vec e) { return e * factor; });
      return;
    }
    // c ([v = a] - p) + b p (log p + H) = c [v = a] + e (offset + slope d)
    const double slope = weight * bonus / s.sum;
    const double offset = slope * (entropy - s.log_sum) - c / s.sum;
    const double of_a = static_cast<double>(of_action) - s.largest, p = __builtin_exp(of_a);
    const Vec shift = Vec::set1(s.largest), first = Vec::set1(static_cast<float>(offset));
    const Vec second = Vec::set1(static_cast<float>(slope));
    put_gradient(all, z, action, c + p * (offset + slope * of_a), [&](Vec logits) {
      const Vec d = logits - shift;
      return exp(d) * fma(d, second, first);
    });
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis
