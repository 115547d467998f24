#include "ops/log_probability.h"

#include "logit_cases.h"

using namespace precis;

namespace {

using Args = precis_log_probability_args;

// A policy and a reference, and what goes out, in the given type.
struct Pair {
  Pair(Random& random, const LogitShape& s, int32_t dtype, int32_t x_type, int32_t reference_dtype,
       double left_out, int32_t type = PRECIS_FLOAT32)
      : layer(random, s, dtype, x_type, left_out),
        reference(random, s, reference_dtype, x_type, 0),
        dlog_probabilities(type, {s.rows}, 0, 3),
        log_probabilities(type, {s.rows}, 0, 1),
        entropies(type, {s.rows}, 0, 2),
        divergences(type, {s.rows}, 0, 1),
        dx(type, {s.rows, s.width}, 3, 1),
        dw(type, {s.tokens, s.width}, 1, 2) {
    dlog_probabilities.fill_normal(random);
    dw.fill_normal(random);
  }

  // With every optional argument.
  Args all(precis_context* context) {
    Args a = {}, other = {};
    layer.put(context, a);
    reference.put(context, other);
    a.labels = layer.labels;
    a.log_probabilities = log_probabilities;
    a.entropies = entropies;
    a.reference_x = other.x;
    a.reference_w = other.w;
    a.divergences = divergences;
    a.dlog_probabilities = dlog_probabilities;
    a.dx = dx;
    a.dw = dw;
    return a;
  }

  bool intact() const {
    for (const GuardedTensor* t : {&log_probabilities, &entropies, &divergences, &dx, &dw}) {
      if (!t->intact()) return false;
    }
    return true;
  }

  LogitCase layer, reference;
  GuardedTensor dlog_probabilities, log_probabilities, entropies, divergences, dx, dw;
};

// What is asked for: bits of a number.
void leave_out(Args& a, int wanted) {
  if ((wanted & 1) == 0) a.dx = {};
  if ((wanted & 2) == 0) a.dw = {};
  if ((wanted & 3) == 0) a.dlog_probabilities = {};
  if ((wanted & 4) == 0) a.entropies = {};
  if ((wanted & 8) == 0) {
    a.reference_x = a.divergences = {};
    a.reference_w = {};
  }
}

void test_sizes(std::vector<TestContext>& contexts) {
  Random random(1);
  for (const LogitShape& s : kLogitShapes) {
    for (int32_t dtype : kLogitTypes) {
      for (int32_t x_type : kLogitTypes) {
        for (int gradients = 0; gradients < 4; gradients++) {
          const int wanted = gradients + 4 * static_cast<int>(random.below(4));
          Pair p(random, s, dtype, x_type, kLogitTypes[random.below(2)], gradients == 0 ? 0 : 0.4);
          const float scale = random.below(2) == 0 ? 1.0f : 0.25f;
          GuardedTensor before(PRECIS_FLOAT32, {s.tokens, s.width});
          copy_elements(p.dw, before);
          GuardedTensor log_probabilities = row_vector(s.rows), entropies = row_vector(s.rows);
          GuardedTensor divergences = row_vector(s.rows);
          GuardedTensor dx(PRECIS_FLOAT32, {s.rows, s.width});
          GuardedTensor dw(PRECIS_FLOAT32, {s.tokens, s.width});
          copy_elements(before, dw);
          Args want = p.all(contexts[0]);
          want.log_probabilities = log_probabilities;
          want.entropies = entropies;
          want.divergences = divergences;
          want.dx = dx;
          want.dw = dw;
          want.scale = scale;
          leave_out(want, wanted);
          log_probability_ref(want, p.layer.w.args(), p.reference.w.args());
          for (TestContext& context : contexts) {
            copy_elements(before, p.dw);
            for (GuardedTensor* t : {&p.log_probabilities, &p.entropies, &p.divergences, &p.dx}) {
              t->fill(NAN);
            }
            Args args = p.all(context);
            args.scale = scale;
            leave_out(args, wanted);
            EXPECT_OK(context, precis_log_probability(context, &args));
            EXPECT(p.intact(), "%s", context.name());
            char what[160];
            std::snprintf(what, sizeof what, "%s %s M %lld D %lld V %lld wanted %d", context.name(),
                          dtype_text(dtype), static_cast<long long>(s.rows),
                          static_cast<long long>(s.width), static_cast<long long>(s.tokens),
                          wanted);
            expect_close(args.log_probabilities, log_probabilities, 1e-5, 1e-5, what);
            // A gradient of a logit may round to either side where it is bfloat16.
            const double step = dtype == PRECIS_BFLOAT16 ? 0x1p-7 * scale : 0;
            if (wanted & 1) expect_close(args.dx, dx, 1e-5, 3e-6 + 2 * step, what);
            if (wanted & 2) expect_close(args.dw, dw, 1e-5, 2e-5 + 6 * step, what);
            if (wanted & 4) expect_close(args.entropies, entropies, 1e-5, 1e-5, what);
            if (wanted & 8) expect_close(args.divergences, divergences, 1e-5, 1e-5, what);
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
