#include "ops/linear_cross_entropy.h"

#include "logit_cases.h"

using namespace precis;

namespace {

struct Case : LogitCase {
  Case(Random& random, int64_t rows, int64_t width, int64_t tokens, int32_t dtype, int32_t x_type,
       double left_out)
      : LogitCase(random, {rows, width, tokens}, dtype, x_type, left_out) {}

  precis_linear_cross_entropy_args args(precis_context* context) {
    precis_linear_cross_entropy_args args = {};
    put(context, args);
    args.labels = labels;
    args.grad_scale = 1;
    return args;
  }
};

void test_sizes(std::vector<TestContext>& contexts) {
  Random random(1);
  for (const LogitShape& s : kLogitShapes) {
    for (int32_t dtype : kLogitTypes) {
      for (int32_t x_type : kLogitTypes) {
        for (int wanted = 0; wanted < 4; wanted++) {
          const bool has_dx = wanted % 2 == 1, has_dw = wanted / 2 == 1;
          Case c(random, s.rows, s.width, s.tokens, dtype, x_type, wanted == 0 ? 0 : 0.4);
          GuardedTensor want_losses(PRECIS_FLOAT32, {s.rows}),
              want_dx(PRECIS_FLOAT32, {s.rows, s.width});
          GuardedTensor before(PRECIS_FLOAT32, {s.tokens, s.width});
          GuardedTensor want_dw(PRECIS_FLOAT32, {s.tokens, s.width});
          before.fill_normal(random);
          auto reset = [&](GuardedTensor& dw) {
            for (int64_t v = 0; v < s.tokens; v++) {
              for (int64_t d = 0; d < s.width; d++) store_element(dw, v, d, before.at(v, d));
            }
          };
          reset(want_dw);
          const float scale = random.below(2) == 0 ? 1.0f : 0.25f;
          const float smoothing = random.below(2) == 0 ? 0.0f : 0.1f;
          const float grad_scale = random.below(2) == 0 ? 1.0f : 1.0f / 17;
          for (int i = -1; i < static_cast<int>(contexts.size()); i++) {
            TestContext& context = contexts[i < 0 ? 0 : i];
            precis_linear_cross_entropy_args args = c.args(context);
            args.scale = scale;
            args.label_smoothing = smoothing;
            args.grad_scale = grad_scale;
            if (i < 0) {
              args.losses = want_losses;
              if (has_dx) args.dx = want_dx;
              if (has_dw) args.dw = want_dw;
              linear_cross_entropy_ref(args, c.w.args());
              continue;
            }
            GuardedTensor losses(PRECIS_FLOAT32, {s.rows}, 0, 1);
            GuardedTensor dx(PRECIS_FLOAT32, {s.rows, s.width}, 3, 1);
            GuardedTensor dw(PRECIS_FLOAT32, {s.tokens, s.width}, 1, 2);
            reset(dw);
            args.losses = losses;
            if (has_dx) args.dx = dx;
            if (has_dw) args.dw = dw;
            EXPECT_OK(context, precis_linear_cross_entropy(context, &args));
            EXPECT(losses.intact() && dx.intact() && dw.intact(), "%s", context.name());
            char what[160];
            std::snprintf(what, sizeof what, "%s %s M %lld D %lld V %lld smoothing %g",
                          context.name(), dtype_text(dtype), static_cast<long long>(s.rows),
                          static_cast<long long>(s.width), static_cast<long long>(s.tokens),
                          smoothing);
            expect_close(losses, want_losses, 1e-5, 1e-5, what);
            // In bfloat16 the gradient of a logit may round to a different neighbor.
            const double step = dtype == PRECIS_BFLOAT16 ? 0x1p-8 * scale * grad_scale : 0;
            if (has_dx) expect_close(dx, want_dx, 1e-5, 2e-6 + 2 * step, what);
            if (has_dw) expect_close(dw, want_dw, 1e-5, 1e-5 + 6 * step, what);
          }
        }
      }
    }
  }
}

// The reference's gradients are those of its own losses.
void test_finite_differences() {
  Random random(2);
  constexpr int64_t kRows = 6, kWidth = 5, kTokens = 11;
  for (float smoothing : {0.0f, 0.2f}) {
    TestContext context("portable", 1);
    Case c(random, kRows, kWidth, kTokens, PRECIS_FLOAT32, PRECIS_FLOAT32, 0.3);
    GuardedTensor losses(PRECIS_FLOAT32, {kRows}), dx(PRECIS_FLOAT32, {kRows, kWidth});
    GuardedTensor dw(PRECIS_FLOAT32, {kTokens, kWidth});
    dw.fill(0);
    precis_linear_cross_entropy_args args = c.args(context);
    args.losses = losses;
    args.dx = dx;
    args.dw = dw;
    args.scale = 0.7f;
    args.grad_scale = 0.5f;
    args.label_smoothing = smoothing;
    linear_cross_entropy_ref(args, c.w.args());
    args.dx.data = args.dw.data = nullptr;
    auto total = [&] {
      linear_cross_entropy_ref(args, c.w.args());
      double sum = 0;
      for (int64_t m = 0; m < kRows; m++) sum += losses.data<float>()[m];
      return args.grad_scale * sum;
    };
    auto slope = [&](GuardedTensor& t, int64_t r, int64_t i) {
      const float old = t.at(r, i), high = old + 0.01f, low = old - 0.01f;
      store_element(t, r, i, high);
      const double above = total();
      store_element(t, r, i, low);
      const double below = total();
      store_element(t, r, i, old);
      return (above - below) / (double{high} - low);
    };
    for (int64_t d = 0; d < kWidth; d++) {
      for (int64_t m = 0; m < kRows; m++) {
        EXPECT(std::fabs(slope(c.x, m, d) - dx.at(m, d)) < 2e-4, "dx[%d, %d] is %g, not %g",
               static_cast<int>(m), static_cast<int>(d), dx.at(m, d), slope(c.x, m, d));
      }
      for (int64_t v = 0; v < kTokens; v++) {
        EXPECT(std::fabs(slope(c.w.source(0), v, d) - dw.at(v, d)) < 2e-4,
               "dw[%d, %d] is %g, not %g", static_cast<int>(v), static_cast<int>(d), dw.at(v, d),
               slope(c.w.source(0), v, d));
      }
    }
  }
}

// With several blocks of rows, a row is bitwise identical to the same row alone, for any number of
// threads.
void test_blocks() {
  Random random(3);
  constexpr int64_t kRows = 330, kWidth = 12, kTokens = 32999;
  for (const char* isa : kIsas) {
    TestContext one(isa, 1), two(isa, 2);
    if (one.status() != PRECIS_OK) continue;
    for (int32_t dtype : kLogitTypes) {
      Case c(random, kRows, kWidth, kTokens, dtype, PRECIS_FLOAT32, 0.1);
      GuardedTensor losses(PRECIS_FLOAT32, {kRows}), dx(PRECIS_FLOAT32, {kRows, kWidth});
      GuardedTensor dw(PRECIS_FLOAT32, {kTokens, kWidth}), again(PRECIS_FLOAT32, {kTokens, kWidth});
      dw.fill(0);
      again.fill(0);
      precis_linear_cross_entropy_args args = c.args(one);
      args.losses = losses;
      args.dx = dx;
      args.dw = dw;
      EXPECT_OK(one, precis_linear_cross_entropy(one, &args));
      GuardedTensor losses2(PRECIS_FLOAT32, {kRows}), dx2(PRECIS_FLOAT32, {kRows, kWidth});
      args.losses = losses2;
      args.dx = dx2;
      args.dw = again;
      EXPECT_OK(two, precis_linear_cross_entropy(two, &args));
      EXPECT(first_difference(losses, 0, losses2, 0) < 0, "%s", two.name());
      for (int64_t m = 0; m < kRows; m++) EXPECT(first_difference(dx, m, dx2, m) < 0);
      int64_t differ = 0;
      for (int64_t v = 0; v < kTokens; v++) differ += first_difference(dw, v, again, v) >= 0;
      EXPECT(differ == 0, "%s: %lld rows of dw", two.name(), static_cast<long long>(differ));
      // A call without dw has blocks of another size.
      args.dw.data = nullptr;
      losses2.fill(-1);
      dx2.fill(-1);
      EXPECT_OK(two, precis_linear_cross_entropy(two, &args));
      EXPECT(first_difference(losses, 0, losses2, 0) < 0, "%s", two.name());
      for (int64_t m = 0; m < kRows; m++) EXPECT(first_difference(dx, m, dx2, m) < 0);
      for (int64_t m : {int64_t{0}, int64_t{100}, kRows - 1}) {
        GuardedTensor loss(PRECIS_FLOAT32, {1}), gradient(PRECIS_FLOAT32, {1, kWidth});
        args.x = some_rows(c.x, m, 1);
        args.labels.data = c.labels.data<int32_t>() + m;
        args.labels.dims[0] = 1;
        args.losses = loss;
        args.dx = gradient;
        EXPECT_OK(two, precis_linear_cross_entropy(two, &args));
        EXPECT(loss.data<float>()[0] == losses.data<float>()[m], "%s row %lld", two.name(),
               static_cast<long long>(m));
        EXPECT(first_difference(dx, m, gradient, 0) < 0);
      }
      // dw is what the rows' gradients of logits add up to: its columns' sums are zero but for
      // rounding, because those of a softmax less its label are.
      if (dtype == PRECIS_FLOAT32) {
        for (int64_t d = 0; d < kWidth; d++) {
          double sum = 0, size = 0;
          for (int64_t v = 0; v < kTokens; v++) {
            sum += dw.at(v, d);
            size += std::fabs(dw.at(v, d));
          }
          EXPECT(std::fabs(sum) < 1e-4 * size && size > 1, "%s: column %lld of dw sums to %g of %g",
                 one.name(), static_cast<long long>(d), sum, size);
        }
      }
    }
  }
}

void test_special_values(std::vector<TestContext>& contexts) {
  Random random(4);
  constexpr int64_t kRows = 5, kWidth = 20, kTokens = 70;
  for (int32_t dtype : kLogitTypes) {
    Case c(random, kRows, kWidth, kTokens, dtype, PRECIS_FLOAT32, 0);
    store_element(c.x, 1, 3, NAN);
    // With logits of thousands nothing overflows.
    for (int64_t d = 0; d < kWidth; d++) store_element(c.x, 2, d, 5e3 * random.normal());
    c.labels.data<int32_t>()[3] = kIgnoredLabel;
    store_element(c.x, 3, 0, NAN);
    for (TestContext& context : contexts) {
      GuardedTensor losses(PRECIS_FLOAT32, {kRows}), dx(PRECIS_FLOAT32, {kRows, kWidth});
      precis_linear_cross_entropy_args args = c.args(context);
      args.losses = losses;
      args.dx = dx;
      EXPECT_OK(context, precis_linear_cross_entropy(context, &args));
      for (int64_t m = 0; m < kRows; m++) {
        const float loss = losses.data<float>()[m];
        EXPECT(m == 1 ? std::isnan(loss) : std::isfinite(loss) && loss >= 0, "%s: row %lld has %g",
               context.name(), static_cast<long long>(m), loss);
        EXPECT(std::isnan(dx.at(m, 7)) == (m == 1), "%s", context.name());
      }
      EXPECT(losses.data<float>()[3] == 0 && dx.at(3, 0) == 0 && dx.at(3, kWidth - 1) == 0);
      // Every row is left out.
      GuardedTensor none(PRECIS_INT32, {kRows});
      for (int64_t m = 0; m < kRows; m++) none.data<int32_t>()[m] = kIgnoredLabel;
      losses.fill(1);
      dx.fill(1);
      args.labels = none;
      EXPECT_OK(context, precis_linear_cross_entropy(context, &args));
      for (int64_t m = 0; m < kRows; m++) {
        EXPECT(losses.data<float>()[m] == 0 && dx.at(m, m) == 0, "%s", context.name());
      }
    }
  }
}

void test_refusals(TestContext& context) {
  Random random(5);
  Case c(random, 4, 33, 70, PRECIS_BFLOAT16, PRECIS_FLOAT32, 0);
  GuardedTensor losses(PRECIS_FLOAT32, {4}), dx(PRECIS_FLOAT32, {4, 33});
  GuardedTensor dw(PRECIS_FLOAT32, {70, 33});
  losses.fill(7);
  dx.fill(7);
  dw.fill(7);
  precis_linear_cross_entropy_args good = c.args(context);
  good.losses = losses;
  good.dx = dx;
  good.dw = dw;
  auto refused = [&](auto change, const char* text) {
    precis_linear_cross_entropy_args args = good;
    change(args);
    EXPECT_REFUSED(context, precis_linear_cross_entropy(context, &args), text);
  };
  using Args = precis_linear_cross_entropy_args;
  // The label of the last row is outside the vocabulary, and the other rows are not processed.
  for (int32_t label : {70, -1, -99, INT32_MAX}) {
    c.labels.data<int32_t>()[3] = label;
    refused([](Args&) {}, ("labels[3] is " + std::to_string(label)).c_str());
  }
  c.labels.data<int32_t>()[3] = 69;
  refused([](Args& a) { a.x.dims[1] = 32; }, "x has 32");
  refused([](Args& a) { a.w.dtype = PRECIS_INT8; }, "w cannot be int8");
  refused([](Args& a) { a.labels.dims[0] = 3; }, "labels has 3");
  refused([](Args& a) { a.labels.dtype = PRECIS_INT64; }, "labels cannot be int64");
  refused([](Args& a) { a.losses.dims[0] = 5; }, "losses has 5");
  refused([](Args& a) { a.dx.dims[1] = 32; }, "dx has 32");
  refused([](Args& a) { a.dx.dtype = PRECIS_BFLOAT16; }, "dx cannot be bfloat16");
  refused([](Args& a) { a.dw.dims[0] = 71; }, "dw has 71");
  // A dw of this size may overlap other tensors too, which may be named first.
  refused([](Args& a) { a.dw.data = a.dx.data; }, "dw overlaps");
  refused([](Args& a) { a.w_transposed = a.w; }, "w_transposed has 70 outputs and 33 inputs");
  refused([](Args& a) { a.w_transposed.data = nullptr; }, "w_transposed has data at");
  refused([](Args& a) { a.w_transposed.dtype = PRECIS_FLOAT32; }, "w_transposed cannot be float32");
  refused([](Args& a) { a.label_smoothing = 1; }, "label_smoothing is 1");
  refused([](Args& a) { a.label_smoothing = -0.1f; }, "label_smoothing is -0.1");
  refused([](Args& a) { a.label_smoothing = NAN; }, "label_smoothing is nan");
  refused([](Args& a) { a.scale = INFINITY; }, "scale is inf");
  refused([](Args& a) { a.grad_scale = NAN; }, "grad_scale is nan");
  EXPECT(precis_linear_cross_entropy(context, nullptr) == PRECIS_INVALID_ARGUMENT);
  for (int64_t m = 0; m < 4; m++) EXPECT(losses.data<float>()[m] == 7 && dx.at(m, 32) == 7);
  for (int64_t v = 0; v < 70; v++) EXPECT(dw.at(v, 5) == 7);
  // Without dx, w_transposed is not checked.
  good.dx.data = nullptr;
  good.w_transposed = {};
  EXPECT_OK(context, precis_linear_cross_entropy(context, &good));
}

}  // namespace

int main() {
  std::vector<TestContext> contexts = all_contexts();
  add_onednn(contexts);
  test_sizes(contexts);
  test_finite_differences();
  test_blocks();
  test_special_values(contexts);
  test_refusals(contexts.back());
  return test_result();
}
