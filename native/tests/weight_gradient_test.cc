#include "ops/weight_gradient.h"

#include "matmul_cases.h"

using namespace precis;

namespace {

constexpr int32_t kTypes[] = {PRECIS_FLOAT32, PRECIS_BFLOAT16};

precis_weight_gradient_args arguments(const precis_tensor& dy, const precis_tensor& x,
                                      const precis_tensor& dw, int32_t dtype) {
  precis_weight_gradient_args args = {};
  args.dy = dy;
  args.x = x;
  args.dw = dw;
  args.alpha = 1;
  args.dtype = dtype;
  return args;
}

void expect_same_bits(const precis_tensor& got, const precis_tensor& want, const char* what) {
  for (int64_t n = 0; n < rows(want); n++) {
    const int64_t k = first_difference(got, n, want, n);
    EXPECT(k < 0, "%s: row %lld differs in column %lld", what, static_cast<long long>(n),
           static_cast<long long>(k));
  }
}

// Tests every combination of sizes and cycles through types, strides and options.
void test_sizes(std::vector<TestContext>& contexts) {
  Random random(1);
  const int64_t row_counts[] = {0, 1, 2, 3, 63, 64, 65, 128, 129, 200, 257};
  for (int64_t n : {1, 5, 6, 7, 32, 63, 65, 97, 130, 200}) {
    for (int64_t k : {1, 3, 8, 16, 32, 33, 63, 64, 65, 130}) {
      for (int32_t dtype : kTypes) {
        const int64_t m = row_counts[random.below(11)];
        const bool accumulate = random.below(2) == 0;
        GuardedTensor dy(kTypes[random.below(2)], {m, n}, random.below(4), random.below(4));
        GuardedTensor x(kTypes[random.below(2)], {m, k}, random.below(4), random.below(4));
        GuardedTensor before(PRECIS_FLOAT32, {n, k}), want(PRECIS_FLOAT32, {n, k});
        dy.fill_normal(random);
        x.fill_normal(random);
        before.fill_normal(random);
        auto reset = [&](GuardedTensor& dw) {
          for (int64_t r = 0; r < n; r++) {
            for (int64_t c = 0; c < k; c++) store_element(dw, r, c, before.at(r, c));
          }
        };
        reset(want);
        precis_weight_gradient_args args = arguments(dy, x, want, dtype);
        args.alpha = random.below(2) == 0 ? 1.0f : -0.75f;
        args.accumulate = accumulate;
        weight_gradient_ref(args);
        for (TestContext& context : contexts) {
          GuardedTensor dw(PRECIS_FLOAT32, {n, k}, random.below(4), random.below(4));
          reset(dw);
          args.dw = dw;
          EXPECT_OK(context, precis_weight_gradient(context, &args));
          EXPECT(dw.intact(), "%s", context.name());
          char what[128];
          std::snprintf(what, sizeof what, "%s %s M %lld N %lld K %lld", context.name(),
                        dtype_text(dtype), static_cast<long long>(m), static_cast<long long>(n),
                        static_cast<long long>(k));
          expect_close(dw, want, 2e-6, sum_error(m), what);
        }
      }
    }
  }
}

// The broadcast operand takes several passes, in parts whose sums fit the caches.
void test_large(std::vector<TestContext>& contexts) {
  Random random(2);
  struct Case {
    int64_t m, n, k;
  };
  for (const Case& c : {Case{16400, 120, 70}, Case{70, 1700, 65}, Case{130, 1000, 31}}) {
    GuardedTensor dy(PRECIS_FLOAT32, {c.m, c.n}), x(PRECIS_BFLOAT16, {c.m, c.k});
    GuardedTensor want(PRECIS_FLOAT32, {c.n, c.k});
    dy.fill_normal(random);
    x.fill_normal(random);
    for (int32_t dtype : kTypes) {
      precis_weight_gradient_args args = arguments(dy, x, want, dtype);
      weight_gradient_ref(args);
      for (TestContext& context : contexts) {
        GuardedTensor dw(PRECIS_FLOAT32, {c.n, c.k}, 1);
        args.dw = dw;
        EXPECT_OK(context, precis_weight_gradient(context, &args));
        EXPECT(dw.intact(), "%s", context.name());
        // Each of m additions to a sum of about sqrt(m) rounds it.
        expect_close(dw, want, 2e-6, 8 * sum_error(c.m) + 2e-7 * c.m, context.name());
      }
    }
  }
}

// Results are bitwise identical for any number of threads and from views of some columns.
void test_bits() {
  Random random(3);
  constexpr int64_t kRows = 531, kOutputs = 211, kInputs = 170;
  for (const char* isa : kIsas) {
    TestContext one(isa, 1), two(isa, 2), three(isa, 3);
    if (one.status() != PRECIS_OK) continue;
    for (int32_t dtype : kTypes) {
      GuardedTensor dy(PRECIS_BFLOAT16, {kRows, kOutputs}), x(PRECIS_FLOAT32, {kRows, kInputs});
      GuardedTensor whole(PRECIS_FLOAT32, {kOutputs, kInputs});
      dy.fill_normal(random);
      x.fill_normal(random);
      precis_weight_gradient_args args = arguments(dy, x, whole, dtype);
      EXPECT_OK(one, precis_weight_gradient(one, &args));
      for (TestContext* context : {&two, &three}) {
        GuardedTensor dw(PRECIS_FLOAT32, {kOutputs, kInputs});
        args.dw = dw;
        EXPECT_OK(*context, precis_weight_gradient(*context, &args));
        expect_same_bits(dw, whole, context->name());
      }
      // With 20 inputs the outputs are the lanes; with 20 outputs the inputs.
      for (int64_t width : {int64_t{20}, kInputs}) {
        const int64_t outputs = width == kInputs ? 20 : kOutputs;
        precis_tensor some_dy = dy, some_x = x, want = whole;
        some_dy.dims[1] = want.dims[0] = outputs;
        some_dy.data = row<uint16_t>(dy, 0) + (kOutputs - outputs);
        some_x.dims[1] = want.dims[1] = width;
        some_x.data = row<float>(x, 0) + (kInputs - width);
        want.data = row<float>(whole, kOutputs - outputs) + (kInputs - width);
        GuardedTensor dw(PRECIS_FLOAT32, {outputs, width});
        precis_weight_gradient_args some = arguments(some_dy, some_x, dw, dtype);
        EXPECT_OK(two, precis_weight_gradient(two, &some));
        expect_same_bits(dw, want, "some columns");
      }
    }
  }
}

// NaN in a column of either operand affects the elements that use that column and no others.
void test_isolation(std::vector<TestContext>& contexts) {
  Random random(4);
  for (int32_t dtype : kTypes) {
    for (int64_t k : {30, 100}) {
      GuardedTensor dy(PRECIS_FLOAT32, {41, 90}), x(PRECIS_FLOAT32, {41, k});
      dy.fill_normal(random);
      x.fill_normal(random);
      store_element(dy, 40, 7, NAN);
      store_element(x, 3, 11, INFINITY);
      for (TestContext& context : contexts) {
        GuardedTensor dw(PRECIS_FLOAT32, {90, k});
        precis_weight_gradient_args args = arguments(dy, x, dw, dtype);
        EXPECT_OK(context, precis_weight_gradient(context, &args));
        int wrong = 0;
        for (int64_t n = 0; n < 90; n++) {
          for (int64_t c = 0; c < k; c++) {
            wrong += std::isfinite(dw.at(n, c)) == (n == 7 || c == 11);
          }
        }
        EXPECT(wrong == 0, "%s %s: %d", context.name(), dtype_text(dtype), wrong);
      }
    }
  }
}

void test_refusals(TestContext& context) {
  GuardedTensor dy(PRECIS_FLOAT32, {5, 7}), x(PRECIS_BFLOAT16, {5, 9});
  GuardedTensor dw(PRECIS_FLOAT32, {7, 9});
  dy.fill(1);
  x.fill(1);
  const precis_weight_gradient_args good = arguments(dy, x, dw, PRECIS_BFLOAT16);
  EXPECT_OK(context, precis_weight_gradient(context, &good));
  auto refused = [&](auto change, const char* text) {
    precis_weight_gradient_args args = good;
    change(args);
    EXPECT_REFUSED(context, precis_weight_gradient(context, &args), text);
  };
  using Args = precis_weight_gradient_args;
  refused([](Args& a) { a.x.dims[0] = 4; }, "x has 4");
  refused([](Args& a) { a.dw.dims[0] = 6; }, "dw has 6");
  refused([](Args& a) { a.dw.dims[1] = 8; }, "dw has 8");
  refused([](Args& a) { a.dw.dtype = PRECIS_BFLOAT16; }, "dw cannot be bfloat16");
  refused([](Args& a) { a.dy.dtype = PRECIS_INT8; }, "dy cannot be int8");
  refused([](Args& a) { a.dtype = PRECIS_INT8; }, "the product cannot be in int8");
  refused([](Args& a) { a.dw.data = a.x.data; }, "dw overlaps x");
  refused([](Args& a) { a.dy.data = nullptr; }, "dy has no data");
  refused([](Args& a) { a.x.row_stride = 8; }, "x has rows of 9 elements, 8 apart");
  EXPECT(precis_weight_gradient(context, nullptr) == PRECIS_INVALID_ARGUMENT);

  // Without rows the sum is zero.
  precis_weight_gradient_args empty = good;
  empty.dy.dims[0] = empty.x.dims[0] = 0;
  empty.dy.data = empty.x.data = nullptr;
  empty.accumulate = 1;
  dw.fill(3);
  EXPECT_OK(context, precis_weight_gradient(context, &empty));
  EXPECT(dw.at(6, 8) == 3);
  empty.accumulate = 0;
  EXPECT_OK(context, precis_weight_gradient(context, &empty));
  EXPECT(dw.at(0, 0) == 0 && dw.at(6, 8) == 0 && dw.intact());
}

}  // namespace

int main() {
  std::vector<TestContext> contexts = all_contexts();
  test_sizes(contexts);
  test_large(contexts);
  test_bits();
  test_isolation(contexts);
  test_refusals(contexts.back());
  return test_result();
}
