// adam and sum_of_squares.

#include "device_test.h"
#include "ops/adam.h"
#include "ops/sum_of_squares.h"

using namespace precis;

namespace {

void copy(const GuardedTensor& from, const GuardedTensor& to) {
  for (int64_t i = 0; i < columns(from); i++) store_element(to, 0, i, from.at(0, i));
}

void adam(TestDevice& device, int64_t n, int32_t decoupled, Random& random) {
  GuardedTensor p(PRECIS_FLOAT32, {n}, 0, n % 4), g(PRECIS_FLOAT32, {n}, 0, n % 4);
  GuardedTensor m(PRECIS_FLOAT32, {n}), v(PRECIS_FLOAT32, {n}, 0, n % 3);
  GuardedTensor want_p(PRECIS_FLOAT32, {n}), want_m(PRECIS_FLOAT32, {n});
  GuardedTensor want_v(PRECIS_FLOAT32, {n});
  p.fill_normal(random);
  m.fill(0);
  v.fill(0);
  OnDevice p_(p), g_(g), m_(m), v_(v);
  for (int64_t step : {1, 2, 3, 1000}) {
    g.fill_normal(random);
    g_.upload();
    copy(p, want_p);
    copy(m, want_m);
    copy(v, want_v);
    precis_adam_args args = {p_,     g_,    m_,   v_,   step,      0.01f, 0.9f,
                             0.999f, 1e-8f, 0.1f, 0.5f, decoupled, 0};
    EXPECT_RUN(device, adam_cuda(device.context(), args));
    p_.download();
    m_.download();
    v_.download();
    args.parameter = want_p;
    args.gradient = g;
    args.m = want_m;
    args.v = want_v;
    adam_ref(args);
    expect_close(m, want_m, 1e-6, 1e-7, device.name());
    expect_close(v, want_v, 1e-6, 1e-9, device.name());
    expect_close(p, want_p, 1e-6, 1e-7, device.name());
  }
}

void sum_of_squares(TestDevice& device, int64_t n, Random& random) {
  GuardedTensor x(PRECIS_FLOAT32, {n}, 0, n % 3);
  x.fill_normal(random);
  if (n > 2) x.data<float>()[n / 2] = 1e30f;  // beyond float32 when squared
  OnDevice x_(x);
  DeviceArray<double> result({-1});
  EXPECT_RUN(device, sum_of_squares_cuda(device.context(), {x_, result}));
  double want = 0;
  sum_of_squares_ref({x, &want});
  const double got = result.get()[0];
  EXPECT(std::fabs(got - want) <= 1e-14 * want, "%s n %lld: %.17g, not %.17g", device.name(),
         static_cast<long long>(n), got, want);
}

}  // namespace

int main() {
  TestDevice device;
  if (!device.open()) return device.skip();
  while (device.next_order(3)) {
    Random random(15);
    for (int64_t n : {0, 1, 7, 16, 257, 5001}) {
      for (int32_t decoupled : {0, 1}) adam(device, n, decoupled, random);
    }
    for (int64_t n : {0, 1, 15, 16384, 16385, 70001}) sum_of_squares(device, n, random);
  }
  return test_result();
}
