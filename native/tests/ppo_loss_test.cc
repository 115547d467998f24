#include "ops/ppo_loss.h"

#include "logit_cases.h"

using namespace precis;

namespace {

using Args = precis_ppo_loss_args;

// An update: its inputs and outputs, in the given type.
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

  // Samples an old policy and a reference near the new policy, so that some rows' ratios are
  // clipped; in other rows nothing has changed.
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

  // Returns the arguments with every optional one and coefficients that make every term matter.
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

// Bits that select the requested outputs.
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
            // In bfloat16 the gradient of a logit may round to a different neighbor.
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

// The reference's gradients are those of its own losses, in double precision.
void test_finite_differences() {
  Random random(2);
  TestContext context("portable", 1);
  for (int wanted : {0, 4, 8, 16, 28}) {
    const LogitShape s = {17, 3, 7};
    Update u(random, s, PRECIS_FLOAT32, kReferenceFloat64, 0.2, kReferenceFloat64);
    u.draw(random, context);
    u.dw.fill(0);
    Args args = u.all(context);
    args.scale = 0.7f;
    leave_out(args, wanted | 3);
    ppo_loss_ref(args, u.layer.w.args());
    GuardedTensor dx(kReferenceFloat64, {s.rows, s.width}), dvalues(kReferenceFloat64, {s.rows});
    GuardedTensor dw(kReferenceFloat64, {s.tokens, s.width});
    copy_elements(u.dx, dx);
    copy_elements(u.dw, dw);
    if (wanted & 16) copy_elements(u.dvalues, dvalues);
    auto total = [&] {
      ppo_loss_ref(args, u.layer.w.args());
      double sum = 0;
      for (int64_t m = 0; m < s.rows; m++) {
        if (u.layer.left_out(m)) continue;
        double loss = u.policy_losses.at(0, m) - args.entropy_coefficient * u.entropies.at(0, m);
        if (wanted & 16) loss += args.value_coefficient * u.value_losses.at(0, m);
        const double ahead = u.reference.at(0, m) - u.log_probabilities.at(0, m);
        loss += args.kl_coefficient * (std::exp(ahead) - ahead - 1);
        sum += u.weights.at(0, m) * loss;
      }
      return sum;
    };
    char what[40];
    std::snprintf(what, sizeof what, "wanted %d", wanted);
    expect_gradient(dx, u.layer.x, total, what);
    if (wanted & 16) expect_gradient(dvalues, u.values, total, what);
    // w is float32, in which a step of 1e-5 would be lost.
    for (int64_t v = 0; v < s.tokens; v++) {
      for (int64_t d = 0; d < s.width; d++) {
        GuardedTensor& w = u.layer.w.source(0);
        const float old = w.at(v, d), high = old + 0x1p-9f, low = old - 0x1p-9f;
        store_element(w, v, d, high);
        const double above = total();
        store_element(w, v, d, low);
        const double slope = (above - total()) / (double{high} - low);
        store_element(w, v, d, old);
        EXPECT(std::fabs(slope - dw.at(v, d)) < 1e-4, "%s: dw[%d, %d] is %g, not %g", what,
               static_cast<int>(v), static_cast<int>(d), dw.at(v, d), slope);
      }
    }
  }
}

// The corners of max and clamp, with the results of PyTorch's autograd.
void test_ties(std::vector<TestContext>& contexts) {
  // One input and two tokens with logits x and 0, so that dx is the first logit's gradient.
  struct Case {
    float advantage, ratio, low, high, value, old_value, target, range;
    double policy_loss, slope, value_loss, dvalue; /* slope: by the log-probability */
  };
  const float inf = INFINITY;
  const Case cases[] = {
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
      // Without an advantage nothing passes; with equal errors of a value half of the gradient
      // does.
      {0, 2, 0.5, 0.5, 1, -1.5, 0, 0.5, 0, 0, 0.5, 0.5},
      // Nothing is clipped.
      {2, 64, inf, inf, 8, 0, 0, inf, -128, -128, 32, 8},
      // Only the clipped term is finite.
      {2, inf, 0.5, 0.5, 1, 1, 1, 0, -3, 0, 0, 0},
  };
  Random random(3);
  for (TestContext& context : contexts) {
    for (int32_t dtype : kLogitTypes) {
      for (const Case& c : cases) {
        Update u(random, {1, 1, 2}, dtype, PRECIS_FLOAT32, 0);
        store_element(u.layer.w.source(0), 0, 0, 1);
        store_element(u.layer.w.source(0), 1, 0, 0);
        // p is 1/2, which is exact in both types.
        u.layer.x.fill(0);
        u.layer.labels.data<int32_t>()[0] = 0;
        for (GuardedTensor* t : {&u.weights, &u.old_log_probabilities, &u.advantages, &u.reference,
                                 &u.values, &u.old_values, &u.returns}) {
          t->fill(0);
        }
        Args a = u.all(context);
        a.dw.data = nullptr;
        EXPECT_OK(context, precis_ppo_loss(context, &a));
        const double log_p = u.log_probabilities.at(0, 0);
        u.weights.fill(0.5f);
        u.advantages.fill(c.advantage);
        u.old_log_probabilities.fill(static_cast<float>(log_p - std::log(c.ratio)));
        u.values.fill(c.value);
        u.old_values.fill(c.old_value);
        u.returns.fill(c.target);
        a.clip_range_low = c.low;
        a.clip_range_high = c.high;
        a.clip_range_value = c.range;
        a.value_coefficient = 2;
        a.kl_coefficient = a.entropy_coefficient = 0;
        EXPECT_OK(context, precis_ppo_loss(context, &a));
        const int i = static_cast<int>(&c - cases);
        auto near = [&](const GuardedTensor& t, double want) {
          EXPECT(std::fabs(t.at(0, 0) - want) <= 1e-5 * std::fabs(want), "%s: case %d: %g, not %g",
                 context.name(), i, t.at(0, 0), want);
        };
        near(u.policy_losses, c.policy_loss);
        near(u.value_losses, c.value_loss);
        near(u.dvalues, 0.5 * 2 * c.dvalue);
        near(u.dx, 0.5 * c.slope * 0.5);
      }
    }
  }
}

// With several blocks of rows, a row is bitwise identical to the same row alone, for any number of
// threads.
void test_blocks() {
  Random random(4);
  const LogitShape s = {280, 12, 32999};  // with dw a block has 254 rows at most
  for (const char* isa : kIsas) {
    TestContext one(isa, 1), two(isa, 2);
    if (one.status() != PRECIS_OK) continue;
    for (int32_t dtype : kLogitTypes) {
      Update u(random, s, dtype, PRECIS_FLOAT32, 0.1);
      Update again(random, s, dtype, PRECIS_FLOAT32, 0.1);
      for (GuardedTensor* t : {&u.weights, &u.advantages, &u.values, &u.old_values, &u.returns}) {
        t->fill_normal(random);
      }
      u.old_log_probabilities.fill(-10.4f);
      u.reference.fill(-10.5f);
      u.dw.fill(0);
      Args args = u.all(one);
      EXPECT_OK(one, precis_ppo_loss(one, &args));
      args.log_probabilities = again.log_probabilities;
      args.entropies = again.entropies;
      args.policy_losses = again.policy_losses;
      args.value_losses = again.value_losses;
      args.dx = again.dx;
      args.dvalues = again.dvalues;
      args.dw = again.dw;
      again.dw.fill(0);
      EXPECT_OK(two, precis_ppo_loss(two, &args));
      auto same = [&](int64_t count, int64_t first) {
        int64_t differ = 0;
        for (int64_t m = 0; m < count; m++) {
          differ += first_difference(u.dx, first + m, again.dx, m) >= 0;
          const GuardedTensor* pairs[][2] = {{&u.log_probabilities, &again.log_probabilities},
                                             {&u.entropies, &again.entropies},
                                             {&u.policy_losses, &again.policy_losses},
                                             {&u.value_losses, &again.value_losses},
                                             {&u.dvalues, &again.dvalues}};
          for (auto& p : pairs) {
            differ += std::memcmp(p[0]->data<float>() + first + m, p[1]->data<float>() + m, 4) != 0;
          }
        }
        EXPECT(differ == 0, "%s: %lld differ from row %lld on", two.name(),
               static_cast<long long>(differ), static_cast<long long>(first));
      };
      same(s.rows, 0);
      int64_t differ = 0;
      for (int64_t v = 0; v < s.tokens; v++) {
        differ += first_difference(u.dw, v, again.dw, v) >= 0;
      }
      EXPECT(differ == 0, "%s: %lld rows of dw", two.name(), static_cast<long long>(differ));
      // A call without dw has blocks of another size, and one row is a block of its own.
      args.dw.data = nullptr;
      again.dx.fill(-1);
      again.entropies.fill(-1);
      EXPECT_OK(two, precis_ppo_loss(two, &args));
      same(s.rows, 0);
      for (int64_t m : {int64_t{0}, int64_t{100}, s.rows - 1}) {
        Args row = args;
        row.x = some_rows(u.layer.x, m, 1);
        row.dx.dims[0] = 1;
        for (precis_tensor* t :
             {&row.actions, &row.weights, &row.old_log_probabilities, &row.advantages,
              &row.reference_log_probabilities, &row.values, &row.old_values, &row.returns}) {
          t->data = static_cast<float*>(t->data) + m;
        }
        for (precis_tensor* t :
             {&row.actions, &row.weights, &row.old_log_probabilities, &row.advantages,
              &row.reference_log_probabilities, &row.values, &row.old_values, &row.returns,
              &row.log_probabilities, &row.entropies, &row.policy_losses, &row.value_losses,
              &row.dvalues}) {
          t->dims[0] = 1;
        }
        EXPECT_OK(two, precis_ppo_loss(two, &row));
        same(1, m);
      }
    }
  }
}

void test_special_values(std::vector<TestContext>& contexts) {
  Random random(5);
  const LogitShape s = {5, 20, 70};
  for (int32_t dtype : kLogitTypes) {
    for (float bonus : {0.0f, 0.3f}) {
      Update u(random, s, dtype, PRECIS_FLOAT32, 0);
      u.draw(random, contexts[0]);
      store_element(u.layer.x, 1, 3, NAN);
      // With logits of thousands nothing overflows.
      for (int64_t d = 0; d < s.width; d++) store_element(u.layer.x, 2, d, 5e3 * random.normal());
      store_element(u.old_log_probabilities, 0, 2, 0);
      store_element(u.reference, 0, 2, -1e6);
      // Rows that are left out may contain anything.
      u.layer.labels.data<int32_t>()[3] = kIgnoredLabel;
      store_element(u.layer.x, 3, 0, NAN);
      store_element(u.weights, 0, 3, NAN);
      store_element(u.values, 0, 3, NAN);
      for (TestContext& context : contexts) {
        Args args = u.all(context);
        args.entropy_coefficient = bonus;
        args.dw.data = nullptr;
        EXPECT_OK(context, precis_ppo_loss(context, &args));
        for (int64_t m = 0; m < s.rows; m++) {
          for (GuardedTensor* t : {&u.log_probabilities, &u.entropies, &u.policy_losses}) {
            EXPECT(m == 1 ? std::isnan(t->at(0, m)) : std::isfinite(t->at(0, m)),
                   "%s: row %lld has %g", context.name(), static_cast<long long>(m), t->at(0, m));
          }
          EXPECT(u.entropies.at(0, m) >= 0 || m == 1, "%s: %g", context.name(),
                 u.entropies.at(0, m));
          EXPECT(std::isnan(u.dx.at(m, 7)) == (m == 1), "%s: row %lld has %g", context.name(),
                 static_cast<long long>(m), u.dx.at(m, 7));
          EXPECT(std::isfinite(u.dvalues.at(0, m)), "%s", context.name());
        }
        for (GuardedTensor* t :
             {&u.log_probabilities, &u.entropies, &u.policy_losses, &u.value_losses, &u.dvalues}) {
          EXPECT(t->at(0, 3) == 0, "%s: %g", context.name(), t->at(0, 3));
        }
        EXPECT(u.dx.at(3, 0) == 0 && u.dx.at(3, s.width - 1) == 0, "%s", context.name());
      }
    }
  }
  // Every row is left out.
  Update u(random, s, PRECIS_FLOAT32, PRECIS_FLOAT32, 1);
  for (TestContext& context : contexts) {
    u.dx.fill(1);
    u.dw.fill(1);
    u.dvalues.fill(1);
    u.entropies.fill(1);
    Args args = u.all(context);
    EXPECT_OK(context, precis_ppo_loss(context, &args));
    for (int64_t m = 0; m < s.rows; m++) {
      EXPECT(u.dx.at(m, m) == 0 && u.dw.at(m, m) == 1 && u.dvalues.at(0, m) == 0 &&
                 u.entropies.at(0, m) == 0,
             "%s", context.name());
    }
  }
}

void test_refusals(TestContext& context) {
  Random random(6);
  const LogitShape s = {4, 33, 70};
  Update u(random, s, PRECIS_BFLOAT16, PRECIS_FLOAT32, 0);
  u.draw(random, context);
  const Args good = u.all(context);
  GuardedTensor* const outputs[] = {&u.log_probabilities,
                                    &u.entropies,
                                    &u.policy_losses,
                                    &u.value_losses,
                                    &u.dx,
                                    &u.dw,
                                    &u.dvalues};
  for (GuardedTensor* t : outputs) t->fill(7);
  auto refused = [&](auto change, const char* text) {
    Args args = good;
    change(args);
    EXPECT_REFUSED(context, precis_ppo_loss(context, &args), text);
  };
  for (int32_t action : {70, -1, -99, INT32_MAX}) {
    u.layer.labels.data<int32_t>()[3] = action;
    refused([](Args&) {}, ("actions[3] is " + std::to_string(action)).c_str());
  }
  u.layer.labels.data<int32_t>()[3] = 69;
  refused([](Args& a) { a.x.dims[1] = 32; }, "x has 32");
  refused([](Args& a) { a.x.dtype = PRECIS_INT32; }, "x cannot be int32");
  refused([](Args& a) { a.w.dtype = PRECIS_INT8; }, "w cannot be int8");
  refused([](Args& a) { a.actions.dims[0] = 3; }, "actions has 3");
  refused([](Args& a) { a.actions.dtype = PRECIS_INT64; }, "actions cannot be int64");
  refused([](Args& a) { a.dx.dims[1] = 32; }, "dx has 32");
  refused([](Args& a) { a.dx.dtype = PRECIS_BFLOAT16; }, "dx cannot be bfloat16");
  refused([](Args& a) { a.dw.dims[0] = 71; }, "dw has 71");
  refused([](Args& a) { a.w_transposed = a.w; }, "w_transposed has 70 outputs and 33 inputs");
  refused([](Args& a) { a.w_transposed.data = nullptr; }, "w_transposed has data at");
  // Every vector is tested: its type, its length, and for outputs the tensors that they overlap.
  struct Vector {
    precis_tensor Args::*tensor;
    const char* name;
    bool output;
  };
  const Vector vectors[] = {
      {&Args::weights, "weights", false},
      {&Args::old_log_probabilities, "old_log_probabilities", false},
      {&Args::advantages, "advantages", false},
      {&Args::reference_log_probabilities, "reference_log_probabilities", false},
      {&Args::values, "values", false},
      {&Args::old_values, "old_values", false},
      {&Args::returns, "returns", false},
      {&Args::log_probabilities, "log_probabilities", true},
      {&Args::entropies, "entropies", true},
      {&Args::policy_losses, "policy_losses", true},
      {&Args::value_losses, "value_losses", true},
      {&Args::dvalues, "dvalues", true}};
  for (const Vector& v : vectors) {
    const std::string name = v.name;
    refused([&](Args& a) { (a.*v.tensor).dims[0] = 3; }, (name + " has 3").c_str());
    refused([&](Args& a) { (a.*v.tensor).rank = 2; }, (name + " has rank 2").c_str());
    refused([&](Args& a) { (a.*v.tensor).dtype = PRECIS_BFLOAT16; },
            (name + " cannot be bfloat16").c_str());
    if (!v.output) continue;
    for (const Vector& other : vectors) {
      if (&other == &v) continue;
      // Of two outputs the later one is named first.
      const bool later = other.output && &other > &v;
      const std::string text = later ? std::string(other.name) + " overlaps " + v.name
                                     : name + " overlaps " + other.name;
      refused([&](Args& a) { (a.*v.tensor).data = (a.*other.tensor).data; }, text.c_str());
    }
    refused([&](Args& a) { (a.*v.tensor).data = a.x.data; }, (name + " overlaps x").c_str());
    refused([&](Args& a) { (a.*v.tensor).data = a.actions.data; },
            (name + " overlaps actions").c_str());
    refused([&](Args& a) { (a.*v.tensor).data = a.dx.data; }, "overlaps");
  }
  for (precis_tensor Args::*t :
       {&Args::weights, &Args::old_log_probabilities, &Args::advantages, &Args::log_probabilities,
        &Args::entropies, &Args::policy_losses}) {
    refused([&](Args& a) { (a.*t).data = nullptr; }, "has no data");
  }
  for (precis_tensor Args::*t : {&Args::values, &Args::old_values, &Args::returns}) {
    refused([&](Args& a) { (a.*t).data = nullptr; }, "give values, old_values and returns or none");
  }
  auto no_values = [](Args& a) { a.values = a.old_values = a.returns = {}; };
  refused([&](Args& a) { no_values(a); }, "value_losses, but no values");
  refused(
      [&](Args& a) {
        no_values(a);
        a.value_losses = {};
      },
      "dvalues, but no values");
  refused([](Args& a) { a.reference_log_probabilities = {}; }, "kl_coefficient is 0.7");
  refused([](Args& a) { a.scale = INFINITY; }, "scale is inf");
  refused([](Args& a) { a.clip_range_low = -0.5f; }, "clip_range_low is -0.5");
  refused([](Args& a) { a.clip_range_low = NAN; }, "clip_range_low is nan");
  refused([](Args& a) { a.clip_range_high = -1; }, "clip_range_high is -1");
  refused([](Args& a) { a.clip_range_value = NAN; }, "clip_range_value is nan");
  refused([](Args& a) { a.value_coefficient = NAN; }, "value_coefficient is nan");
  refused([](Args& a) { a.entropy_coefficient = INFINITY; }, "entropy_coefficient is inf");
  refused([](Args& a) { a.kl_coefficient = NAN; }, "kl_coefficient is nan");
  EXPECT(precis_ppo_loss(context, nullptr) == PRECIS_INVALID_ARGUMENT);
  for (GuardedTensor* t : outputs) {
    for (int64_t r = 0; r < rows(*t); r++) EXPECT(t->at(r, 3) == 7);
  }
  // Without dx, w_transposed is not checked.
  Args least = good;
  leave_out(least, 0);
  least.w_transposed = {};
  EXPECT_OK(context, precis_ppo_loss(context, &least));
}

}  // namespace

int main() {
  std::vector<TestContext> contexts = all_contexts();
  add_onednn(contexts);
  test_sizes(contexts);
  test_finite_differences();
  test_ties(contexts);
  test_blocks();
  test_special_values(contexts);
  test_refusals(contexts.back());
  return test_result();
}
