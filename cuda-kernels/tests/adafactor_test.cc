#include "ops/adafactor.h"

#include "device_test.h"

using namespace precis;

namespace {

void step(TestDevice& device, const std::vector<int64_t>& dims, int variant, int64_t number,
          Random& random) {
  const bool matrix = dims.size() == 2;
  const int64_t n = dims[0], k = dims.back();
  GuardedTensor p(PRECIS_FLOAT32, dims, 3, 1), g(PRECIS_FLOAT32, dims, 4, k % 4);
  GuardedTensor row_moments(PRECIS_FLOAT32, {n}, 0, 1), column_moments(PRECIS_FLOAT32, {k}, 0, 5);
  GuardedTensor want(PRECIS_FLOAT32, dims), want_row(PRECIS_FLOAT32, {n});
  GuardedTensor want_column(PRECIS_FLOAT32, {k});
  p.fill_normal(random, 0.1f);
  g.fill_normal(random, variant == 3 ? 1e-12f : 1);
  row_moments.fill(number == 1 ? 0 : 0.7f);
  column_moments.fill(number == 1 ? 0 : 0.9f);
  copy_elements(p, want);
  copy_elements(row_moments, want_row);
  copy_elements(column_moments, want_column);
  precis_adafactor_args args = {};
  args.step = number;
  args.learning_rate = 0.01f;
  args.decay_rate = -0.8f;
  args.epsilon1 = 1e-30f;
  args.epsilon2 = 1e-3f;
  args.clip_threshold = variant == 1 ? 0.25f : 1;
  args.weight_decay = variant == 2 ? 0.1f : 0;
  args.gradient_scale = 0.5f;
  args.scale_parameter = variant != 0;
  OnDevice p_(p), g_(g), row_(row_moments), column_(column_moments);
  args.parameter = p_;
  args.gradient = g_;
  args.row = row_;
  if (matrix) args.column = column_;
  EXPECT_RUN(device, adafactor_cuda(device.context(), args));
  p_.download();
  row_.download();
  column_.download();
  args.parameter = want;
  args.gradient = g;
  args.row = want_row;
  args.column = want_column;
  adafactor_ref(args);
  expect_close(row_moments, want_row, 4e-6, 0, device.name());
  expect_close(column_moments, want_column, 4e-6, 0, device.name());
  expect_close(p, want, 2e-6, 1e-7, device.name());
}

}  // namespace

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(19);
    for (const std::vector<int64_t>& dims : std::vector<std::vector<int64_t>>{{0},
                                                                              {1},
                                                                              {17},
                                                                              {33001},
                                                                              {0, 5},
                                                                              {5, 0},
                                                                              {1, 1},
                                                                              {3, 7},
                                                                              {5, 64},
                                                                              {67, 33},
                                                                              {700, 9},
                                                                              {2, 1099}}) {
      for (int variant = 0; variant < 4; variant++) {
        for (int64_t number : {1, 2, 500}) {
          // Large shapes run once for each variant.
          if (dims[0] * dims.back() > 5000 && number != 2) continue;
          step(device, dims, variant, number, random);
        }
      }
    }
    GuardedTensor p(PRECIS_FLOAT32, {4, 8}), g(PRECIS_FLOAT32, {4, 8});
    GuardedTensor r(PRECIS_FLOAT32, {4}), c(PRECIS_FLOAT32, {8});
    p.fill(1);
    g.fill(1);
    store_element(g, 2, 3, NAN);
    r.fill(0);
    c.fill(0);
    OnDevice p_(p), g_(g), r_(r), c_(c);
    EXPECT_RUN(device, adafactor_cuda(device.context(),
                                      {p_, g_, r_, c_, 1, 0.1f, -0.8f, 1e-30f, 1e-3f, 1, 0, 1, 1}));
    p_.download();
    EXPECT(std::isnan(p.at(3, 7)), "%s: NaN did not reach the result", device.name());
  });
}
