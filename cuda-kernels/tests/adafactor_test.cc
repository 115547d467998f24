#include "adafactor_cases.h"
#include "device_test.h"

using namespace precis;

namespace {

void step(TestDevice& device, const std::vector<int64_t>& dims, int variant, int64_t number,
          Random& random) {
  const int64_t k = dims.back();
  AdafactorCase c(dims, variant, number, 4, k % 4, random);
  precis_adafactor_args args = adafactor_settings(variant, number);
  OnDevice p_(c.parameter), g_(c.gradient), row_(c.row), column_(c.column);
  args.parameter = p_;
  args.gradient = g_;
  args.row = row_;
  if (dims.size() == 2) args.column = column_;
  EXPECT_RUN(device, adafactor_cuda(device.context(), args));
  p_.download();
  row_.download();
  column_.download();
  c.by_reference(args);
  expect_close(c.row, c.want_row, 4e-6, 0, device.name());
  expect_close(c.column, c.want_column, 4e-6, 0, device.name());
  expect_close(c.parameter, c.want, 2e-6, 1e-7, device.name());
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
      for (int variant = 0; variant < kAdafactorVariants; variant++) {
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
