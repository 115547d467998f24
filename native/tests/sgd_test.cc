#include "ops/sgd.h"

#include "test.h"

using namespace precis;

namespace {

void copy(const GuardedTensor& from, const GuardedTensor& to) {
  for (int64_t i = 0; i < columns(from); i++) store_element(to, 0, i, from.at(0, i));
}

// With the same gradient g at every step and no decay, step t moves by lr g (1 - mu^t) / (1 - mu).
void check_reference() {
  const double mu = 0.75, lr = 0.125, g = 2 * 3;
  GuardedTensor p(kReferenceFloat64, {1}), gradient(kReferenceFloat64, {1});
  GuardedTensor buffer(kReferenceFloat64, {1});
  p.fill(1);
  gradient.fill(3);
  buffer.fill(NAN);  // not read at step 1
  double want = 1;
  for (int64_t step = 1; step <= 12; step++) {
    precis_sgd_args args = {p, gradient, buffer, step, 0.125f, 0.75f, 0, 2};
    sgd_ref(args);
    want -= lr * g * (1 - std::pow(mu, step)) / (1 - mu);
    EXPECT(std::fabs(p.at(0, 0) - want) < 1e-12, "step %d: %.15g, not %.15g",
           static_cast<int>(step), p.at(0, 0), want);
  }
  precis_sgd_args args = {p, gradient, {}, 1, 0.125f, 0, 0.5f, 2};
  sgd_ref(args);
  want -= lr * (g + 0.5 * want);
  EXPECT(std::fabs(p.at(0, 0) - want) < 1e-12, "%.15g, not %.15g", p.at(0, 0), want);
}

}  // namespace

int main() {
  check_reference();
  Random random(18);
  for (TestContext& context : all_contexts()) {
    for (float momentum : {0.0f, 0.9f}) {
      for (int64_t n : {0, 1, 7, 16, 17, 257, 30001}) {
        GuardedTensor p(PRECIS_FLOAT32, {n}, 0, 1), g(PRECIS_FLOAT32, {n}, 0, 2);
        GuardedTensor buffer(PRECIS_FLOAT32, {n}, 0, 3);
        GuardedTensor want(PRECIS_FLOAT32, {n}), want_buffer(PRECIS_FLOAT32, {n});
        p.fill_normal(random);
        buffer.fill(NAN);
        for (int64_t step : {1, 2, 3}) {
          g.fill_normal(random);
          copy(p, want);
          copy(buffer, want_buffer);
          precis_sgd_args args = {p, g, buffer, step, 0.1f, momentum, 0.01f, 0.5f};
          if (momentum == 0) args.buffer = {};
          EXPECT_OK(context, precis_sgd(context, &args));
          EXPECT(p.intact() && buffer.intact(), "%s n %lld", context.name(),
                 static_cast<long long>(n));
          args.parameter = want;
          args.buffer = want_buffer;
          sgd_ref(args);
          expect_close(p, want, 1e-6, 1e-7, context.name());
          expect_close(buffer, want_buffer, 1e-6, 1e-6, context.name());
        }
      }
    }
    GuardedTensor p(PRECIS_FLOAT32, {8}), g(PRECIS_FLOAT32, {8}), b(PRECIS_FLOAT32, {7});
    const precis_sgd_args good = {p, g, b, 1, 0.1f, 0, 0, 1};
    precis_sgd_args args = good;
    args.momentum = 0.5f;
    EXPECT_REFUSED(context, precis_sgd(context, &args), "buffer has 7");
    args.buffer.dims[0] = 8;
    args.buffer.data = nullptr;
    EXPECT_REFUSED(context, precis_sgd(context, &args), "buffer has no data");
    args.momentum = 1;
    EXPECT_REFUSED(context, precis_sgd(context, &args), "momentum is 1");
    args = good;
    args.step = -3;
    EXPECT_REFUSED(context, precis_sgd(context, &args), "step is -3");
    args = good;
    args.gradient = p;
    EXPECT_REFUSED(context, precis_sgd(context, &args), "gradient overlaps parameter");
    args = good;
    args.weight_decay = NAN;
    EXPECT_REFUSED(context, precis_sgd(context, &args), "weight_decay is nan");
  }
  return test_result();
}
