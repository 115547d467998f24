#include "ops/bias_gradient.h"

#include "ops/add_bias.h"
#include "test.h"

using namespace precis;

namespace {

// Compares the reference with differences of the forward reference.
void check_reference(Random& random) {
  GuardedTensor y(kReferenceFloat64, {3, 5}), dy(kReferenceFloat64, {3, 5});
  GuardedTensor bias(kReferenceFloat64, {5}), dbias(kReferenceFloat64, {5});
  bias.fill_normal(random);
  dy.fill_normal(random);
  dbias.fill(0);
  precis_bias_gradient_args backward = {dy, dbias};
  bias_gradient_ref(backward);
  auto loss = [&] {
    y.fill(0.5f);
    precis_add_bias_args forward = {y, bias};
    add_bias_ref(forward);
    return inner_product(dy, y);
  };
  expect_gradient(dbias, bias, loss, "bias_gradient_ref");
}

}  // namespace

int main() {
  Random random(23);
  check_reference(random);
  for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
    for (int64_t width : {0, 1, 7, 16, 17, 63, 257, 40001}) {
      for (int64_t m : {0, 1, 17, 130, 2100}) {
        if (width * m > 150000) continue;
        GuardedTensor dy(dtype, {m, width}, 2, 3), want(PRECIS_FLOAT32, {width});
        dy.fill_normal(random);
        want.fill(2);
        precis_bias_gradient_args args = {dy, want};
        bias_gradient_ref(args);
        std::string isa;
        GuardedTensor first(PRECIS_FLOAT32, {width});
        for (TestContext& context : all_contexts()) {
          GuardedTensor dbias(PRECIS_FLOAT32, {width}, 0, 1);
          dbias.fill(2);
          args.dbias = dbias;
          EXPECT_OK(context, precis_bias_gradient(context, &args));
          EXPECT(dbias.intact(), "%s width %lld", context.name(), static_cast<long long>(width));
          expect_close(dbias, want, 2e-6, 1e-6 * (1 + std::sqrt(m)), context.name());
          if (isa == context.isa()) expect_close(dbias, first, 0, 0, context.name());
          isa = context.isa();
          std::memcpy(first.data<float>(), dbias.data<float>(), width * sizeof(float));
        }
      }
    }
  }
  for (TestContext& context : all_contexts()) {
    GuardedTensor dy(PRECIS_FLOAT32, {2, 8}), dbias(PRECIS_FLOAT32, {7});
    precis_bias_gradient_args args = {dy, dbias};
    EXPECT_REFUSED(context, precis_bias_gradient(context, &args), "dbias has 7");
    args.dbias.dims[0] = 8;
    args.dbias.data = dy.data<float>();
    EXPECT_REFUSED(context, precis_bias_gradient(context, &args), "dbias overlaps dy");
    args.dy.rank = 1;
    EXPECT_REFUSED(context, precis_bias_gradient(context, &args), "dy has rank 1");
  }
  return test_result();
}
