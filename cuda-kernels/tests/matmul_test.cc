#include "ops/matmul.h"

#include "device_products.h"

using namespace precis;

namespace {

struct Shape {
  int64_t m, n, k;
};

void same_as_reference(TestDevice& device, const Shape& s, int32_t dtype, int32_t x_type,
                       int32_t y_type, bool accumulate, Random& random) {
  const int64_t gap = s.k % 8;
  Weights w(random, {s.n}, s.k, dtype, PRECIS_FLOAT32);
  DeviceWeights w_(device, w);
  GuardedTensor x(x_type, {s.m, s.k}, gap, gap);
  // Pairs of neighbors in y are aligned for one store, or not.
  const bool even = (s.m + x_type) % 2 == 0;
  GuardedTensor y(y_type, {s.m, s.n}, even ? 2 + s.n % 2 : 3, !even), want(y_type, {s.m, s.n});
  x.fill_normal(random);
  y.fill(0.5f);
  want.fill(0.5f);
  OnDevice x_(x), y_(y);
  EXPECT_RUN(device, matmul_cuda(device.context(), {x_, w_, y_, 0.5f, accumulate, 0, 0}));
  y_.download();
  precis_matmul_args args = {x, {}, want, 0.5f, accumulate, 0, 0};
  args.w.dtype = dtype;
  matmul_ref(args, w.args());
  const std::string what = std::string(device.name()) + " " + std::to_string(s.m) + "x" +
                           std::to_string(s.n) + "x" + std::to_string(s.k) + " " +
                           dtype_text(dtype);
  expect_close(y, want, rounding(y_type), sum_error(s.k), what.c_str());
}

// A row is bitwise identical to the same row alone, whichever tile that uses.
void alone(TestDevice& device, int32_t dtype, int32_t x_type, Random& random) {
  const int64_t m = 130, n = 200, k = 104, few = 20;
  Weights w(random, {n}, k, dtype, PRECIS_FLOAT32);
  DeviceWeights w_(device, w);
  GuardedTensor x(x_type, {m, k}), y(PRECIS_FLOAT32, {m, n}), one(PRECIS_FLOAT32, {1, n});
  GuardedTensor some(PRECIS_FLOAT32, {few, n});
  x.fill_normal(random);
  OnDevice x_(x), y_(y), one_(one), some_(some);
  EXPECT_RUN(device, matmul_cuda(device.context(), {x_, w_, y_, 1, 0, 0, 0}));
  y_.download();
  for (int64_t r : {0, 17, 110}) {
    EXPECT_RUN(device, matmul_cuda(device.context(), {some_rows(x_, r, 1), w_, one_, 1, 0, 0, 0}));
    one_.download();
    EXPECT(first_difference(y, r, one, 0) < 0, "%s: row %d differs", device.name(),
           static_cast<int>(r));
    EXPECT_RUN(device,
               matmul_cuda(device.context(), {some_rows(x_, r, few), w_, some_, 1, 0, 0, 0}));
    some_.download();
    for (int64_t i = 0; i < few; i++) {
      EXPECT(first_difference(y, r + i, some, i) < 0, "%s: row %d of some differs", device.name(),
             static_cast<int>(r + i));
    }
  }
}

}  // namespace

int main() {
  TestDevice device;
  if (!device.open()) return device.skip();
  bool same_bits = true;
  const std::vector<Wgmma> modes = wgmma_modes(device, &same_bits);
  while (device.next_order(3)) {
    Random random(21);
    for (Wgmma wgmma : modes) {
      device.context().wgmma = wgmma;
      for (const Shape& s :
           {Shape{1, 1, 1}, Shape{3, 65, 33}, Shape{33, 130, 100}, Shape{18, 72, 64},
            Shape{129, 136, 72}, Shape{40, 20, 16}, Shape{16, 96, 200}}) {
        for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          if (dtype == PRECIS_FLOAT32 && wgmma != Wgmma::kOff) continue;
          same_as_reference(device, s, dtype, PRECIS_FLOAT32, PRECIS_FLOAT32, true, random);
          same_as_reference(device, s, dtype, PRECIS_BFLOAT16, PRECIS_BFLOAT16, false, random);
        }
      }
      for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        alone(device, dtype, PRECIS_FLOAT32, random);
        alone(device, dtype, PRECIS_BFLOAT16, random);
      }
    }
  }
  return test_result();
}
