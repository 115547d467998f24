// The policy loss and value loss of PPO and the gradients of both; formulas are in precis.h and
// native/src/ops/ppo_loss.h.
//
// With d[v] = z[v] - largest and S = sum exp(d):
//   log p = d - log S,  H = log S - sum d exp(d) / S
//   g[v] = c ([v = a] - p) + b p (log p + H) = c [v = a] + exp(d) (offset + slope d)
//   slope = b / S,  offset = slope (H - log S) - c / S
// One thread of a row's block computes c, which takes a few hundred instructions; the
// row has 32128 exponentials. logit_rows.cuh describes the kernels.
#include "logit_rows.cuh"
#include "ops/ppo_loss.h"

namespace precis {
namespace {

// A loss and its derivative.
struct Sloped {
  double value, slope;
};

// max(a, b). For equal values, or NaN, the slope is the mean of both. The other value may be
// infinite.
__device__ __forceinline__ Sloped max(const Sloped& a, const Sloped& b) {
  if (a.value > b.value) return a;
  if (a.value < b.value) return b;
  return {a.value == b.value ? a.value : a.value + b.value, (a.slope + b.slope) / 2};
}

// clamp(x, low, high) and its derivative, which is 1 on the bounds too.
__device__ __forceinline__ Sloped clamped(double x, double low, double high) {
  if (x < low) return {low, 0};
  if (x > high) return {high, 0};
  return {x, 1};
}

__device__ __forceinline__ Sloped half_square(double error, double slope) {
  return {error * error / 2, error * slope};
}

struct PpoLoss {
  precis_ppo_loss_args a;

  __device__ static double element(const precis_tensor& t, int64_t m) {
    return static_cast<const float*>(t.data)[m];
  }

  __device__ void leave_out(int64_t m) const {
    put(a.log_probabilities, m, 0);
    put(a.entropies, m, 0);
    put(a.policy_losses, m, 0);
    if (a.values.data == nullptr) return;
    put(a.value_losses, m, 0);
    put(a.dvalues, m, 0);
  }

  // With the derivative with respect to the value.
  __device__ Sloped value_loss(int64_t m) const {
    const double value = element(a.values, m), old = element(a.old_values, m);
    const double target = element(a.returns, m), range = a.clip_range_value;
    const Sloped clipped = clamped(value, old - range, old + range);
    return max(half_square(value - target, 1), half_square(clipped.value - target, clipped.slope));
  }

  // With the derivative with respect to the log-probability.
  __device__ Sloped policy_loss(double ratio, double advantage) const {
    const Sloped r = clamped(ratio, 1.0 - a.clip_range_low, 1.0 + a.clip_range_high);
    const double plain = -advantage * ratio;
    return max({plain, plain}, {-advantage * r.value, r.slope == 0 ? 0 : plain});
  }

  __device__ LogitGradient finish(int64_t m, const RowSums& s) const {
    const double weight = element(a.weights, m);
    if (a.values.data != nullptr) {
      const Sloped loss = value_loss(m);
      put(a.value_losses, m, loss.value);
      put(a.dvalues, m, weight * a.value_coefficient * loss.slope);
    }
    const double d = static_cast<double>(s.of_label) - s.largest;
    const double entropy = s.log_sum - s.terms / s.sum;
    // Rounded as it is stored, so that the ratio is 1 where the old policy had the same logits.
    const float log_probability = static_cast<float>(d - s.log_sum);
    put(a.log_probabilities, m, log_probability);
    put(a.entropies, m, entropy);
    const double ratio = exp(log_probability - element(a.old_log_probabilities, m));
    const Sloped loss = policy_loss(ratio, element(a.advantages, m));
    put(a.policy_losses, m, loss.value);
    double c = loss.slope;
    if (a.kl_coefficient != 0) {
      const double log_ratio = element(a.reference_log_probabilities, m) - log_probability;
      c += a.kl_coefficient * (1 - exp(log_ratio));
    }
    c *= weight;
    const double slope = weight * a.entropy_coefficient / s.sum;
    const double offset = slope * (entropy - s.log_sum) - c / s.sum;
    return {static_cast<float>(offset), static_cast<float>(slope), 0,
            static_cast<float>(c + exp(d) * (offset + slope * d))};
  }
};

}  // namespace

cudaError_t ppo_loss_cuda(CudaContext& context, const precis_ppo_loss_args& a) {
  return for_logit_rows(context, logit_rows(a, a.actions, ProblemOp::kPpoLoss), PpoLoss{a});
}

}  // namespace precis
