#include "ops/softmax.h"

#include "device_test.h"

using namespace precis;

int main() {
  return run_test(4, [](TestDevice& device) {
    Random random(7);
    for (int64_t n : {1, 7, 8, 65, 1031, 4099, 32128}) {
      for (int32_t logarithm : {0, 1}) {
        const int64_t m = n > 5000 ? 2 : 5;
        GuardedTensor x(PRECIS_FLOAT32, {m, n}, n % 8, n % 8), want(PRECIS_FLOAT32, {m, n});
        x.fill_normal(random, 4);
        // Logits far from 0, and long parts of a row that are all -inf.
        for (int64_t i = 0; i < n; i++) store_element(x, 1, i, x.at(1, i) + 1e4);
        for (int64_t i = 1; i < n; i++) store_element(x, 0, i, i % 100 == 3 ? 1 : -INFINITY);
        OnDevice x_(x);
        softmax_ref({x, want, logarithm, 0});
        EXPECT_RUN(device, softmax_cuda(device.context(), {x_, x_, logarithm, 0}));
        x_.download();
        // The last place of logits around 1e4 is a thousandth.
        expect_close(x, want, 4e-6, logarithm ? 2e-6 : 1e-9, device.name());
        EXPECT(device.problem() == kNoProblem);
      }
    }
    const struct {
      float value;
      ProblemKind problem;
    } bad[] = {{NAN, ProblemKind::kNan},
               {INFINITY, ProblemKind::kPositiveInfinity},
               {-INFINITY, ProblemKind::kNothingFinite}};
    for (const auto& b : bad) {
      GuardedTensor x(PRECIS_FLOAT32, {3, 40}), y(PRECIS_FLOAT32, {3, 40});
      x.fill(1);
      for (int64_t i = 0; i < 40; i++) {
        if (i == 17 || b.problem == ProblemKind::kNothingFinite) store_element(x, 2, i, b.value);
      }
      OnDevice x_(x), y_(y);
      EXPECT_RUN(device, softmax_cuda(device.context(), {x_, y_, 0, 0}));
      EXPECT(device.problem() == problem_code(ProblemOp::kSoftmax, 2, b.problem));
      y_.download();
    }
  });
}
