#include "ops/rms_norm_backward.h"

#include "norm_cases.h"
#include "ops/rms_norm.h"

using namespace precis;

namespace {

// Compares the reference with differences of the forward reference.
void check_reference(Random& random) {
  const int64_t m = 3, width = 5;
  GuardedTensor x(kReferenceFloat64, {m, width}), weight(kReferenceFloat64, {width});
  GuardedTensor y(kReferenceFloat64, {m, width}), dy(kReferenceFloat64, {m, width});
  GuardedTensor dx(kReferenceFloat64, {m, width}), dweight(kReferenceFloat64, {width});
  x.fill_normal(random);
  weight.fill_normal(random);
  dy.fill_normal(random);
  dweight.fill(0);
  precis_rms_norm_args forward = {x, weight, y, 0.1f, 0};
  precis_rms_norm_backward_args backward = {x, weight, dy, dx, dweight, 0.1f, 0};
  rms_norm_backward_ref(backward);
  auto loss = [&] {
    rms_norm_ref(forward);
    return inner_product(dy, y);
  };
  expect_gradient(dx, x, loss, "rms_norm_backward_ref, x");
  expect_gradient(dweight, weight, loss, "rms_norm_backward_ref, weight");
}

}  // namespace

int main() {
  Random random(12);
  check_reference(random);
  for_norm_gradients([&](int64_t m, int64_t width, int32_t dtype, int32_t accumulate) {
    GuardedTensor x(PRECIS_FLOAT32, {m, width}, 3, 1), weight(PRECIS_FLOAT32, {width}, 0, 5);
    GuardedTensor dy(dtype, {m, width}, 2, 3);
    GuardedTensor want(PRECIS_FLOAT32, {m, width}), want_weight(PRECIS_FLOAT32, {width});
    x.fill_normal(random);
    weight.fill_normal(random);
    dy.fill_normal(random);
    want.fill(2);
    want_weight.fill(3);
    precis_rms_norm_backward_args args = {x, weight, dy, want, want_weight, 1e-6f, accumulate};
    rms_norm_backward_ref(args);
    std::string isa;
    std::vector<float> first;
    for (TestContext& context : all_contexts()) {
      GuardedTensor dx(PRECIS_FLOAT32, {m, width}, 1, 2);
      GuardedTensor dweight(PRECIS_FLOAT32, {width}, 0, 3);
      for (bool with_weight : {true, false}) {
        dx.fill(2);
        dweight.fill(3);
        args.dx = dx;
        args.dweight = dweight;
        if (!with_weight) args.dweight.data = nullptr;
        EXPECT_OK(context, precis_rms_norm_backward(context, &args));
        EXPECT(dx.intact() && dweight.intact(), "%s width %lld", context.name(),
               static_cast<long long>(width));
        // r reaches 1e3 where a row of one element is nearly 0.
        expect_close(dx, want, 4e-6, width == 1 ? 2e-4 : 4e-6, context.name());
        expect_sum(with_weight, 3, dweight, want_weight, m, context.name());
      }
      dweight.fill(3);
      args.dweight = dweight;
      EXPECT_OK(context, precis_rms_norm_backward(context, &args));
      const float* w = dweight.data<float>();
      if (isa == context.isa()) {
        EXPECT(std::memcmp(first.data(), w, width * sizeof(float)) == 0,
               "%s: threads change dweight, width %lld", context.name(),
               static_cast<long long>(width));
      }
      isa = context.isa();
      first.assign(w, w + width);
    }
  });
  for (TestContext& context : all_contexts()) {
    // A row of tiny values without epsilon: no power of r may overflow.
    GuardedTensor x(PRECIS_FLOAT32, {2, 8}), weight(PRECIS_FLOAT32, {8});
    GuardedTensor dy(PRECIS_FLOAT32, {2, 8}), dx(PRECIS_FLOAT32, {2, 8}),
        dweight(PRECIS_FLOAT32, {8});
    GuardedTensor want(PRECIS_FLOAT32, {2, 8});
    x.fill_normal(random, 1e-16f);
    weight.fill(1);
    dy.fill_normal(random, 1e-16f);
    dweight.fill(0);
    precis_rms_norm_backward_args args = {x, weight, dy, want, {}, 0, 0};
    rms_norm_backward_ref(args);
    args.dx = dx;
    EXPECT_OK(context, precis_rms_norm_backward(context, &args));
    expect_close(dx, want, 1e-5, 1e-6, context.name());

    args.dweight = dweight;
    args.dweight.dims[0] = 7;
    EXPECT_REFUSED(context, precis_rms_norm_backward(context, &args), "dweight has 7");
    args.dweight = dweight;
    args.dx = dy;
    EXPECT_REFUSED(context, precis_rms_norm_backward(context, &args), "dx overlaps dy");
    args.dx = dx;
    args.dweight.data = weight.data<float>();
    EXPECT_REFUSED(context, precis_rms_norm_backward(context, &args), "dweight overlaps weight");
    args.dweight = dweight;
    args.epsilon = -1;
    EXPECT_REFUSED(context, precis_rms_norm_backward(context, &args), "epsilon is -1");
    args.dy.dims[0] = 1;
    EXPECT_REFUSED(context, precis_rms_norm_backward(context, &args), "dy has 1");
    args.weight.data = nullptr;
    EXPECT_REFUSED(context, precis_rms_norm_backward(context, &args), "weight has no data");
  }
  return test_result();
}
