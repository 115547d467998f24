#include "ops/adam.h"

#include "test.h"

using namespace precis;

namespace {

void copy(const GuardedTensor& from, const GuardedTensor& to) {
  for (int64_t i = 0; i < columns(from); i++) store_element(to, 0, i, from.at(0, i));
}

// Tests what follows from the paper rather than from the formulas in adam.h: with the same gradient
// at every step the corrected moments are that gradient and its square, so each step is lr g / (|g|
// + epsilon).
void check_reference(int32_t decoupled) {
  const double lr = 0.01f, g = -0.3f, epsilon = 0.125, decay = 0.5;
  GuardedTensor p(kReferenceFloat64, {1}), gradient(kReferenceFloat64, {1});
  GuardedTensor m(kReferenceFloat64, {1}), v(kReferenceFloat64, {1});
  gradient.fill(-0.3f);
  p.fill(2);
  m.fill(0);
  v.fill(0);
  double want = 2;
  for (int64_t step = 1; step <= 20; step++) {
    precis_adam_args args = {p,     gradient,  m,      v,      step,
                             0.01f, 0.9f,      0.999f, 0.125f, decoupled ? 0.5f : 0.0f,
                             2.0f,  decoupled, 0};
    adam_ref(args);
    if (decoupled) want *= 1 - lr * decay;
    want -= lr * 2 * g / (2 * std::fabs(g) + epsilon);
    EXPECT(std::fabs(p.at(0, 0) - want) < 1e-12, "step %d: %.15g, not %.15g",
           static_cast<int>(step), p.at(0, 0), want);
  }
}

}  // namespace

int main() {
  check_reference(0);
  check_reference(1);
  Random random(15);
  for (TestContext& context : all_contexts()) {
    for (int32_t decoupled : {0, 1}) {
      for (int64_t n : {0, 1, 7, 8, 15, 16, 17, 257, 30001}) {
        GuardedTensor p(PRECIS_FLOAT32, {n}, 0, 1), g(PRECIS_FLOAT32, {n}, 0, 2);
        GuardedTensor m(PRECIS_FLOAT32, {n}, 0, 3), v(PRECIS_FLOAT32, {n}, 0, 5);
        GuardedTensor want_p(PRECIS_FLOAT32, {n}), want_m(PRECIS_FLOAT32, {n});
        GuardedTensor want_v(PRECIS_FLOAT32, {n});
        p.fill_normal(random);
        m.fill(0);
        v.fill(0);
        for (int64_t step : {1, 2, 3, 1000}) {
          g.fill_normal(random);
          copy(p, want_p);
          copy(m, want_m);
          copy(v, want_v);
          precis_adam_args args = {p,      g,     m,    v,    step,      0.01f, 0.9f,
                                   0.999f, 1e-8f, 0.1f, 0.5f, decoupled, 0};
          EXPECT_OK(context, precis_adam(context, &args));
          EXPECT(p.intact() && m.intact() && v.intact(), "%s n %lld", context.name(),
                 static_cast<long long>(n));
          args.parameter = want_p;
          args.m = want_m;
          args.v = want_v;
          adam_ref(args);
          expect_close(m, want_m, 1e-6, 1e-7, context.name());
          expect_close(v, want_v, 1e-6, 1e-9, context.name());
          expect_close(p, want_p, 1e-6, 1e-7, context.name());
        }
      }
    }
    GuardedTensor p(PRECIS_FLOAT32, {8}), g(PRECIS_FLOAT32, {8}), m(PRECIS_FLOAT32, {8});
    GuardedTensor v(PRECIS_FLOAT32, {8});
    const precis_adam_args good = {p, g, m, v, 1, 0.01f, 0.9f, 0.999f, 1e-8f, 0, 1, 0, 0};
    precis_adam_args args = good;
    args.step = 0;
    EXPECT_REFUSED(context, precis_adam(context, &args), "step is 0");
    args = good;
    args.v.dims[0] = 7;
    EXPECT_REFUSED(context, precis_adam(context, &args), "v has 7");
    args = good;
    args.m = p;
    EXPECT_REFUSED(context, precis_adam(context, &args), "m overlaps parameter");
    args = good;
    args.beta2 = 1;
    EXPECT_REFUSED(context, precis_adam(context, &args), "beta2 is 1");
    args = good;
    args.gradient_scale = NAN;
    EXPECT_REFUSED(context, precis_adam(context, &args), "gradient_scale is nan");
    args = good;
    args.gradient.dtype = PRECIS_BFLOAT16;
    EXPECT_REFUSED(context, precis_adam(context, &args), "gradient cannot be bfloat16");
    args = good;
    args.learning_rate = INFINITY;
    EXPECT_REFUSED(context, precis_adam(context, &args), "learning_rate is inf");
  }
  return test_result();
}
