#include "ops/ppo_loss.h"

#include "logit_cases.h"

using namespace precis;

namespace {

using Args = precis_ppo_loss_args;

// An update: what comes in, and what goes out, in the given type.
struct Update {
  Update(Random& random, const LogitShape& s, int32_t dtype, int32_t x_type, double left_out,
         int32_t type = PRECIS_FLOAT32)
      : layer(random, s, dtype, x_type, left_out),
        weights(type, {s.rows}, 0, 1),
        old_log_probabilities(type, {s.rows}, 0, 2),
        advantages(type, {s.rows}, 0, 3),
        reference(type, {s.rows}),
        values(type, {s.rows}, 0, 1),
        old_values(type, {s.rows}),
        returns(type, {s.rows}),
        log_probabilities(type, {s.rows}, 0, 1),
        entropies(type, {s.rows}, 0, 3),
        policy_losses(type, {s.rows}, 0, 1),
        value_losses(type, {s.rows}, 0, 2),
        dx(type, {s.rows, s.width}, 3, 1),
        dw(type, {s.tokens, s.width}, 1, 2),
        dvalues(type, {s.rows}, 0, 1) {}

  // The old policy and the reference are near the new one, and some rows' ratios are clipped; in
  // others everything is as it was.
  void draw(Random& random, precis_context* context) {
    for (GuardedTensor* t : {&weights, &advantages, &values}) t->fill_normal(random);
    Args args = all(context);
    ppo_loss_ref(args, layer.w.args());
    for (int64_t m = 0; m < columns(weights); m++) {
      const double n = log_probabilities.at(0, m), v = values.at(0, m);
      store_element(weights, 0, m, 0.1 + 0.2 * random.uniform());
      store_element(old_log_probabilities, 0, m, n + (m % 4 == 0 ? 0 : 0.3 * random.normal()));
      store_element(reference, 0, m, n + 0.4 * random.normal());
      store_element(old_values, 0, m, v + (m % 3 == 0 ? 0 : 0.3 * random.normal()));
      store_element(returns, 0, m, v + random.normal());
    }
    dw.fill_normal(random);
  }

  // With every optional argument, and coefficients that make every term matter.
  Args all(precis_context* context) {
    Args a = {};
    layer.put(context, a);
    a.actions = layer.labels;
    a.weights = weights;
    a.old_log_probabilities = old_log_probabilities;
    a.advantages = advantages;
    a.reference_log_probabilities = reference;
    a.values = values;
    a.old_values = old_values;
    a.returns = returns;
    a.log_probabilities = log_probabilities;
    a.entropies = entropies;
    a.policy_losses = policy_losses;
    a.value_losses = value_losses;
    a.dx = dx;
    a.dw = dw;
    a.dvalues = dvalues;
    a.clip_range_low = 0.2f;
    a.clip_range_high = 0.25f;
    a.clip_range_value = 0.2f;
    a.value_coefficient = 0.5f;
    a.entropy_coefficient = 0.3f;
    a.kl_coefficient = 0.7f;
    return a;
  }

  bool intact() const {
    for (const GuardedTensor* t :
         {&log_probabilities, &entropies, &policy_losses, &value_losses, &dx, &dw, &dvalues}) {
      if (!t->intact()) return false;
    }
    return true;
  }

  LogitCase layer;
  GuardedTensor weights, old_log_probabilities, advantages, reference, values, old_values, returns;
  GuardedTensor log_probabilities, entropies, policy_losses, value_losses, dx, dw, dvalues;
};

// What is asked for: bits of a number.
void leave_out(Args& a, int wanted) {
  if ((wanted & 1) == 0) a.dx.data = nullptr;
  if ((wanted & 2) == 0) a.dw.data = nullptr;
  if ((wanted & 4) == 0) a.entropy_coefficient = 0;
  if ((wanted & 8) == 0) {
    a.reference_log_probabilities = {};
    a.kl_coefficient = 0;
  }
  if ((wanted & 16) == 0) a.values = a.old_values = a.returns = a.value_losses = a.dvalues = {};
}

void test_sizes(std::vector<TestContext>& contexts) {
  Random random(1);
  for (const LogitShape& s : kLogitShapes) {
    for (int32_t dtype : kLogitTypes) {
      for (int32_t x_type : kLogitTypes) {
        for (int gradients = 0; gradients < 4; gradients++) {
          const int wanted = gradients + 4 * static_cast<int>(random.below(8));
          Update u(random, s, dtype, x_type, gradients == 0 ? 0 : 0.4);
          u.draw(random, contexts[0]);
          const float scale = random.below(2) == 0 ? 1.0f : 0.25f;
          GuardedTensor before(PRECIS_FLOAT32, {s.tokens, s.width});
          copy_elements(u.dw, before);
          GuardedTensor log_probabilities = row_vector(s.rows), entropies = row_vector(s.rows);
          GuardedTensor policy_losses = row_vector(s.rows), value_losses = row_vector(s.rows);
          GuardedTensor dx(PRECIS_FLOAT32, {s.rows, s.width}), dvalues = row_vector(s.rows);
          GuardedTensor dw(PRECIS_FLOAT32, {s.tokens, s.width});
          copy_elements(before, dw);
          Args want = u.all(contexts[0]);
          want.log_probabilities = log_probabilities;
          want.entropies = entropies;
          want.policy_losses = policy_losses;
          want.value_losses = value_losses;
          want.dx = dx;
          want.dw = dw;
          want.dvalues = dvalues;
          want.scale = scale;
          leave_out(want, wanted);
          ppo_loss_ref(want, u.layer.w.args());
          for (TestContext& context : contexts) {
            copy_elements(before, u.dw);
            for (GuardedTensor* t : {&u.log_probabilities, &u.entropies, &u.policy_losses,
                                     &u.value_losses, &u.dx, &u.dvalues}) {
              t->fill(NAN);
            }
            Args args = u.all(context);
            args.scale = scale;
            leave_out(args, wanted);
            EXPECT_OK(context, precis_ppo_loss(context, &args));
            EXPECT(u.intact(), "%s", context.name());
            char what[160];
            std::snprintf(what, sizeof what, "%s %s M %lld D %lld V %lld wanted %d", context.name(),
                          dtype_text(dtype), static_cast<long long>(s.rows),
                          static_cast<long long>(s.width), static_cast<long long>(s.tokens),
                          wanted);
            expect_close(args.log_probabilities, log_probabilities, 1e-5, 1e-5, what);
            expect_close(args.entropies, entropies, 1e-5, 1e-5, what);
            expect_close(args.policy_losses, policy_losses, 3e-5, 1e-6, what);
            // A gradient of a logit may round to either side where it is bfloat16.
            const double step = dtype == PRECIS_BFLOAT16 ? 0x1p-8 * scale : 0;
            if (wanted & 1) expect_close(args.dx, dx, 3e-5, 3e-6 + 2 * step, what);
            if (wanted & 2) expect_close(args.dw, dw, 3e-5, 1e-5 + 6 * step, what);
            if (wanted & 16) {
              expect_close(args.value_losses, value_losses, 1e-6, 1e-7, what);
              expect_close(args.dvalues, dvalues, 1e-6, 1e-7, what);
            } else {
              EXPECT(s.rows == 0 || std::isnan(u.dvalues.at(0, 0)));
            }
          }
        }
      }
    }
  }
}

}  // namespace

int main() {
  std::vector<TestContext> contexts = all_contexts();
  add_onednn(contexts);
  test_sizes(contexts);
  return test_result();
}
