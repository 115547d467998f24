#include "ops/layer_norm_backward.h"

#include "norm_cases.h"
#include "ops/layer_norm.h"

using namespace precis;

namespace {

// Compares the reference with differences of the forward reference.
void check_reference(Random& random) {
  const int64_t m = 3, width = 5;
  GuardedTensor x(kReferenceFloat64, {m, width}), weight(kReferenceFloat64, {width});
  GuardedTensor bias(kReferenceFloat64, {width}), y(kReferenceFloat64, {m, width});
  GuardedTensor dy(kReferenceFloat64, {m, width}), dx(kReferenceFloat64, {m, width});
  GuardedTensor dweight(kReferenceFloat64, {width}), dbias(kReferenceFloat64, {width});
  x.fill_normal(random);
  weight.fill_normal(random);
  bias.fill_normal(random);
  dy.fill_normal(random);
  dweight.fill(0);
  dbias.fill(0);
  precis_layer_norm_args forward = {x, weight, bias, y, 0.1f, 0};
  precis_layer_norm_backward_args backward = {x, weight, dy, dx, dweight, dbias, 0.1f, 0};
  layer_norm_backward_ref(backward);
  auto loss = [&] {
    layer_norm_ref(forward);
    return inner_product(dy, y);
  };
  expect_gradient(dx, x, loss, "layer_norm_backward_ref, x");
  expect_gradient(dweight, weight, loss, "layer_norm_backward_ref, weight");
  expect_gradient(dbias, bias, loss, "layer_norm_backward_ref, bias");
}

}  // namespace

int main() {
  Random random(21);
  check_reference(random);
  for_norm_gradients([&](int64_t m, int64_t width, int32_t dtype, int32_t accumulate) {
    GuardedTensor x(PRECIS_FLOAT32, {m, width}, 3, 1), weight(PRECIS_FLOAT32, {width}, 0, 5);
    GuardedTensor dy(dtype, {m, width}, 2, 3), want(PRECIS_FLOAT32, {m, width});
    GuardedTensor want_weight(kReferenceFloat64, {width});
    GuardedTensor want_bias(kReferenceFloat64, {width});
    x.fill_normal(random);
    weight.fill_normal(random);
    dy.fill_normal(random);
    want.fill(2);
    want_weight.fill(3);
    want_bias.fill(4);
    precis_layer_norm_backward_args args = {x,           weight,    dy,    want,
                                            want_weight, want_bias, 1e-2f, accumulate};
    layer_norm_backward_ref(args);
    std::string isa;
    GuardedTensor first_weight(PRECIS_FLOAT32, {width}), first_bias(PRECIS_FLOAT32, {width});
    for (TestContext& context : all_contexts()) {
      GuardedTensor dx(PRECIS_FLOAT32, {m, width}, 1, 2);
      GuardedTensor dweight(PRECIS_FLOAT32, {width}, 0, 3);
      GuardedTensor dbias(PRECIS_FLOAT32, {width}, 0, 1);
      for (int present : {0, 1, 2, 3}) {
        dx.fill(2);
        dweight.fill(3);
        dbias.fill(4);
        args.dx = dx;
        args.dweight = dweight;
        args.dbias = dbias;
        if (!(present & 1)) args.dweight = {};
        if (!(present & 2)) args.dbias = {};
        EXPECT_OK(context, precis_layer_norm_backward(context, &args));
        EXPECT(dx.intact() && dweight.intact() && dbias.intact(), "%s width %lld", context.name(),
               static_cast<long long>(width));
        expect_close(dx, want, 4e-6, 1e-5, context.name());
        expect_sum(present & 1, 3, dweight, want_weight, m, context.name());
        expect_sum(present & 2, 4, dbias, want_bias, m, context.name());
      }
      // With both gradients requested, results are bitwise identical for any number of
      // threads.
      if (isa == context.isa()) {
        expect_close(dweight, first_weight, 0, 0, context.name());
        expect_close(dbias, first_bias, 0, 0, context.name());
      }
      isa = context.isa();
      std::memcpy(first_weight.data<float>(), dweight.data<float>(), width * sizeof(float));
      std::memcpy(first_bias.data<float>(), dbias.data<float>(), width * sizeof(float));
    }
  });
  for (TestContext& context : all_contexts()) {
    GuardedTensor x(PRECIS_FLOAT32, {2, 8}), weight(PRECIS_FLOAT32, {8}),
        dy(PRECIS_FLOAT32, {2, 8});
    GuardedTensor dx(PRECIS_FLOAT32, {2, 8}), dweight(PRECIS_FLOAT32, {8}),
        dbias(PRECIS_FLOAT32, {8});
    const precis_layer_norm_backward_args good = {x, weight, dy, dx, dweight, dbias, 1e-5f, 0};
    precis_layer_norm_backward_args args = good;
    args.dbias = dweight;
    EXPECT_REFUSED(context, precis_layer_norm_backward(context, &args), "dbias overlaps dweight");
    args = good;
    args.dbias.dims[0] = 7;
    EXPECT_REFUSED(context, precis_layer_norm_backward(context, &args), "dbias has 7");
    args = good;
    args.dx = x;
    EXPECT_REFUSED(context, precis_layer_norm_backward(context, &args), "dx overlaps x");
    args = good;
    args.dx.dtype = PRECIS_BFLOAT16;
    EXPECT_REFUSED(context, precis_layer_norm_backward(context, &args), "dx cannot be bfloat16");
    args = good;
    args.weight.dims[0] = 9;
    EXPECT_REFUSED(context, precis_layer_norm_backward(context, &args), "weight has 9");
    args = good;
    args.dy.dims[1] = 7;
    EXPECT_REFUSED(context, precis_layer_norm_backward(context, &args), "dy has 7");
  }
  return test_result();
}
