#include "ops/ppo_loss.h"

#include "device_logits.h"

using namespace precis;

namespace {

using Args = precis_ppo_loss_args;
using Member = precis_tensor Args::*;

constexpr Member kInputs[] = {&Args::weights,    &Args::old_log_probabilities,
                              &Args::advantages, &Args::reference_log_probabilities,
                              &Args::values,     &Args::old_values,
                              &Args::returns};
constexpr Member kResults[] = {&Args::log_probabilities, &Args::entropies, &Args::policy_losses,
                               &Args::value_losses, &Args::dvalues};

// An update with every optional argument and coefficients that make every term matter.
struct Case {
  Case(TestDevice& device, Random& random, const LogitShape& s, int32_t dtype, int32_t x_type,
       double left_out)
      : host(random, s, dtype, x_type, left_out), layer(device, host), shape(s) {
    for (Member member : kInputs) {
      tensors.add(member, {s.rows}, 0, 1);
      tensors.fill_normal(random, member);
    }
    for (Member member : kResults) tensors.add(member, {s.rows}, 0, 3);
    tensors.add(&Args::dx, {s.rows, s.width}, 3, 1);
    tensors.add(&Args::dw, {s.tokens, s.width}, 1, 2);
    tensors.fill_normal(random, &Args::dw);
    args.scale = 1;
    args.clip_range_low = 0.2f;
    args.clip_range_high = 0.25f;
    args.clip_range_value = 0.2f;
    args.value_coefficient = 0.5f;
    args.entropy_coefficient = 0.3f;
    args.kl_coefficient = 0.7f;
    clear_results();
  }
  void clear_results() {
    for (Member member : kResults) tensors.fill(member, NAN);
    tensors.fill(&Args::dx, NAN);
  }
  void set(Member member, int64_t m, double value) {
    store_element(tensors[member], 0, m, value);
    store_element(tensors.wanted(member), 0, m, value);
  }
  // Samples an old policy and a reference near the new policy, so that some rows' ratios are clipped;
  // in other rows nothing has changed.
  void sample(Random& random) {
    by_reference(0);
    for (int64_t m = 0; m < shape.rows; m++) {
      const double n = tensors.wanted(&Args::log_probabilities).at(0, m);
      const double v = tensors[&Args::values].at(0, m);
      set(&Args::weights, m, 0.1 + 0.2 * random.uniform());
      set(&Args::old_log_probabilities, m, n + (m % 4 == 0 ? 0 : 0.3 * random.normal()));
      set(&Args::reference_log_probabilities, m, n + 0.4 * random.normal());
      set(&Args::old_values, m, v + (m % 3 == 0 ? 0 : 0.3 * random.normal()));
      set(&Args::returns, m, v + random.normal());
    }
    clear_results();
  }
  // bits of wanted: dx, dw, entropy bonus, reference, values, value losses and their gradient
  static void leave_out(Args& a, int wanted) {
    if ((wanted & 1) == 0) a.dx = {};
    if ((wanted & 1) == 0) a.w_transposed = {};
    if ((wanted & 2) == 0) a.dw = {};
    if ((wanted & 4) == 0) a.entropy_coefficient = 0;
    if ((wanted & 8) == 0) {
      a.reference_log_probabilities = {};
      a.kl_coefficient = 0;
    }
    if ((wanted & 16) == 0) a.values = a.old_values = a.returns = {};
    if ((wanted & 48) != 48) a.value_losses = a.dvalues = {};
  }
  void by_reference(int wanted) {
    Args a = tensors.for_reference(args);
    a.x = host.x;
    a.actions = host.labels;
    a.w = layer.w;
    leave_out(a, wanted);
    ppo_loss_ref(a, host.w.args());
  }
  Args on_device(int wanted) {
    Args a = tensors.for_device(args);
    layer.put(a);
    a.actions = layer.labels;
    leave_out(a, wanted);
    return a;
  }
  void run(TestDevice& device, int wanted) {
    const Args a = on_device(wanted);
    poison_scratch(device);
    EXPECT_RUN(device, ppo_loss_cuda(device.context(), a));
    tensors.download();
  }
  void compare(const char* what) {
    tensors.compare(&Args::log_probabilities, 1e-5, 1e-5, what);
    tensors.compare(&Args::entropies, 1e-5, 1e-5, what);
    tensors.compare(&Args::policy_losses, 3e-5, 1e-6, what);
    tensors.compare(&Args::value_losses, 1e-6, 1e-7, what);
    tensors.compare(&Args::dvalues, 1e-6, 1e-7, what);
    // In bfloat16 the gradient of a logit may round to a different neighbor.
    const double step =
        precis_packed_matrix(layer.w).dtype == PRECIS_BFLOAT16 ? 0x1p-8 * args.scale : 0;
    const double rows = 1 + 0.1 * std::sqrt(static_cast<double>(shape.rows));
    tensors.compare(&Args::dx, 3e-5, 3e-6 + 2 * step, what);
    tensors.compare(&Args::dw, 3e-5, (1e-5 + 6 * step) * rows, what);
  }

  LogitCase host;
  DeviceLayer layer;
  LogitShape shape;
  CallTensors<Args> tensors;
  Args args = {};
};

void sizes(TestDevice& device, Random& random) {
  for (const LogitShape& s : kDeviceShapes) {
    for (int32_t dtype : kLogitTypes) {
      for (int gradients = is_slow(s) ? 3 : 0; gradients < 4; gradients++) {
        const int wanted = gradients + 4 * static_cast<int>(random.below(16));
        const int32_t x_type = kLogitTypes[random.below(2)];
        Case c(device, random, s, dtype, x_type, gradients == 0 ? 0 : 0.4);
        c.sample(random);
        c.args.scale = random.below(2) == 0 ? 1.0f : 0.25f;
        c.by_reference(wanted);
        c.run(device, wanted);
        EXPECT(device.problem() == kNoProblem);
        c.compare(describe(device, s, dtype, x_type, wanted).c_str());
      }
    }
  }
}

// The corners of max and clamp. There are one input and two tokens with logits x and 0, so that dx is
// the first logit's gradient.
void ties(TestDevice& device, Random& random) {
  const struct {
    float advantage, ratio, low, high, value, old_value, target, range;
    double policy_loss, slope, value_loss, dvalue; /* slope: by the log-probability */
  } cases[] = {
      // Inside the range both terms are equal and the whole gradient passes.
      {2, 1, 0.5, 0.5, 1, 1, 0, 0.5, -2, -2, 0.5, 1},
      // The same holds on the bounds.
      {2, 1, 0, 0, 1, 0.5, 0, 0.5, -2, -2, 0.5, 1},
      {-2, 1, 0, 0, -1, -0.5, 0, 0.5, 2, 2, 0.5, -1},
      // Outside the range it depends on the sign of the advantage.
      {2, 2, 0.5, 0.5, 1, 0, -3, 0.5, -3, 0, 8, 4},
      {-2, 2, 0.5, 0.5, 1, 0, 3, 0.5, 4, 4, 3.125, 0},
      {2, 0.25, 0.5, 0.5, 1, 0, 3, 0.5, -0.5, -0.5, 3.125, 0},
      {-2, 0.25, 0.5, 0.5, 1, 0, 3, 0.5, 1, 0, 3.125, 0},
      // Without an advantage nothing passes; with equal errors of a value half of the gradient does.
      {0, 2, 0.5, 0.5, 1, -1.5, 0, 0.5, 0, 0, 0.5, 0.5},
      // Nothing is clipped.
      {2, 64, INFINITY, INFINITY, 8, 0, 0, INFINITY, -128, -128, 32, 8},
      // Only the clipped term is finite.
      {2, INFINITY, 0.5, 0.5, 1, 1, 1, 0, -3, 0, 0, 0},
  };
  for (int32_t dtype : kLogitTypes) {
    for (const auto& k : cases) {
      Case c(device, random, {1, 1, 2}, dtype, PRECIS_FLOAT32, 0);
      c.host.x.fill(0);  // p is 1/2, which is exact in both types
      c.host.w.source(0).fill(0);
      store_element(c.host.w.source(0), 0, 0, 1);
      c.host.labels.data<int32_t>()[0] = 0;
      DeviceLayer layer(device, c.host);
      auto run = [&] {
        Args a = c.on_device(61);
        layer.put(a);
        a.actions = layer.labels;
        a.kl_coefficient = a.entropy_coefficient = 0;
        EXPECT_RUN(device, ppo_loss_cuda(device.context(), a));
        c.tensors.download();
      };
      run();
      const double log_p = c.tensors[&Args::log_probabilities].at(0, 0);
      EXPECT(std::fabs(log_p - std::log(0.5)) < 1e-7);
      c.set(&Args::weights, 0, 0.5);
      c.set(&Args::advantages, 0, k.advantage);
      c.set(&Args::old_log_probabilities, 0, static_cast<float>(log_p - std::log(k.ratio)));
      c.set(&Args::values, 0, k.value);
      c.set(&Args::old_values, 0, k.old_value);
      c.set(&Args::returns, 0, k.target);
      c.args.clip_range_low = k.low;
      c.args.clip_range_high = k.high;
      c.args.clip_range_value = k.range;
      c.args.value_coefficient = 2;
      run();
      auto near = [&](Member member, double want) {
        const double got = c.tensors[member].at(0, 0);
        EXPECT(std::fabs(got - want) <= 1e-5 * std::fabs(want), "%s: case %d: %g, not %g",
               device.name(), static_cast<int>(&k - cases), got, want);
      };
      near(&Args::policy_losses, k.policy_loss);
      near(&Args::value_losses, k.value_loss);
      near(&Args::dvalues, 0.5 * 2 * k.dvalue);
      near(&Args::dx, 0.5 * k.slope * 0.5);
    }
  }
}

// A row is bitwise identical to the same row alone, and its log-probability to that of
// log_probability: the ratio of a policy that has not changed is 1.
void alone(TestDevice& device, Random& random) {
  for (const LogitShape& s : {LogitShape{130, 40, 260}, LogitShape{33, 20, 2100}}) {
    for (int32_t dtype : kLogitTypes) {
      Case c(device, random, s, dtype, PRECIS_FLOAT32, 0.1);
      const int64_t last = s.rows - 1;
      for (int64_t m : {int64_t{0}, int64_t{17}, last}) c.host.labels.data<int32_t>()[m] = 2;
      c.layer.labels.upload();
      GuardedTensor old = row_vector(s.rows);
      OnDevice old_(old);
      precis_log_probability_args before = {};
      c.layer.put(before);
      before.labels = c.layer.labels;
      before.log_probabilities = old_;
      before.scale = 1;
      EXPECT_RUN(device, log_probability_cuda(device.context(), before));
      old_.download();
      for (int64_t m = 0; m < s.rows; m++) c.set(&Args::old_log_probabilities, m, old.at(0, m));
      c.run(device, 63);
      GuardedTensor& policy_losses = c.tensors[&Args::policy_losses];
      for (int64_t m = 0; m < s.rows; m++) {
        EXPECT(same_bits(old, m, c.tensors[&Args::log_probabilities], m), "%s: row %d",
               device.name(), static_cast<int>(m));
        const double advantage = c.host.left_out(m) ? 0 : c.tensors[&Args::advantages].at(0, m);
        EXPECT(policy_losses.at(0, m) == -advantage, "%s: %g, not %g", device.name(),
               policy_losses.at(0, m), -advantage);
      }
      for (int64_t m : {int64_t{0}, int64_t{17}, last}) {
        std::deque<GuardedTensor> results;
        std::deque<OnDevice> on_device;
        Args a = c.on_device(61);
        for (Member member : kInputs) a.*member = one_of(a.*member, m);
        for (Member member : kResults) {
          results.push_back(row_vector(1));
          a.*member = on_device.emplace_back(results.back());
        }
        GuardedTensor dx(PRECIS_FLOAT32, {1, s.width});
        OnDevice dx_(dx);
        a.x = some_rows(a.x, m, 1);
        a.actions = one_of(a.actions, m);
        a.dx = dx_;
        EXPECT_RUN(device, ppo_loss_cuda(device.context(), a));
        for (OnDevice& t : on_device) t.download();
        dx_.download();
        for (size_t i = 0; i < results.size(); i++) {
          EXPECT(same_bits(results[i], 0, c.tensors[kResults[i]], m), "%s: row %d", device.name(),
                 static_cast<int>(m));
        }
        EXPECT(first_difference(dx, 0, c.tensors[&Args::dx], m) < 0, "%s: row %d", device.name(),
               static_cast<int>(m));
      }
    }
  }
}

void special_values(TestDevice& device, Random& random) {
  const LogitShape s = {5, 20, 150};
  for (int32_t dtype : kLogitTypes) {
    for (int wanted : {57, 61}) {
      Case c(device, random, s, dtype, PRECIS_FLOAT32, 0);
      c.sample(random);
      store_element(c.host.x, 1, 3, NAN);
      // Logits of thousands: nothing overflows.
      for (int64_t d = 0; d < s.width; d++) store_element(c.host.x, 2, d, 5e3 * random.normal());
      c.set(&Args::old_log_probabilities, 2, 0);
      c.set(&Args::reference_log_probabilities, 2, -1e6);
      // Rows that are left out may contain anything.
      c.host.labels.data<int32_t>()[3] = kIgnoredLabel;
      store_element(c.host.x, 3, 0, NAN);
      c.set(&Args::weights, 3, NAN);
      c.set(&Args::values, 3, NAN);
      c.layer.x.upload();
      c.layer.labels.upload();
      c.run(device, wanted);
      const GuardedTensor& dx = c.tensors[&Args::dx];
      for (int64_t m = 0; m < s.rows; m++) {
        const int row = static_cast<int>(m);
        for (Member member : {&Args::log_probabilities, &Args::entropies, &Args::policy_losses}) {
          const double got = c.tensors[member].at(0, m);
          EXPECT(m == 1 ? std::isnan(got) : std::isfinite(got), "%s: row %d has %g", device.name(),
                 row, got);
        }
        EXPECT(m == 1 || c.tensors[&Args::entropies].at(0, m) >= 0, "row %d", row);
        EXPECT(std::isnan(dx.at(m, 7)) == (m == 1), "%s: row %d has %g", device.name(), row,
               dx.at(m, 7));
        EXPECT(std::isfinite(c.tensors[&Args::dvalues].at(0, m)), "row %d", row);
      }
      for (Member member : kResults) {
        EXPECT(c.tensors[member].at(0, 3) == 0, "%s: %g", device.name(),
               c.tensors[member].at(0, 3));
      }
      EXPECT(dx.at(3, 0) == 0 && dx.at(3, s.width - 1) == 0, "%s", device.name());
      EXPECT(device.problem() == kNoProblem);
    }
  }
}

void bad_actions(TestDevice& device, Random& random) {
  const LogitShape s = {40, 20, 70};
  for (int32_t dtype : kLogitTypes) {
    Case c(device, random, s, dtype, PRECIS_BFLOAT16, 0.2);
    c.sample(random);
    int32_t* actions = c.host.labels.data<int32_t>();
    actions[7] = actions[39] = -1;
    c.layer.labels.upload();
    actions[7] = actions[39] = kIgnoredLabel;
    c.by_reference(63);
    c.run(device, 63);
    EXPECT(device.problem() == bad_label(ProblemOp::kPpoLoss, 7), "%s", device.name());
    c.compare(device.name());
  }
}

}  // namespace

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(47);
    sizes(device, random);
    ties(device, random);
    alone(device, random);
    special_values(device, random);
    bad_actions(device, random);
  });
}
