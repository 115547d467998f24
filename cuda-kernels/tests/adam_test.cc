#include "ops/adam.h"

#include "device_test.h"

using namespace precis;

namespace {

void same_as_reference(TestDevice& device, int64_t n, int32_t decoupled, Random& random) {
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
    copy_elements(p, want_p);
    copy_elements(m, want_m);
    copy_elements(v, want_v);
    precis_adam_args args = {p_,     g_,    m_,   v_,   step,      0.01f, 0.9f,
                             0.999f, 1e-8f, 0.1f, 0.5f, decoupled, 0};
    EXPECT_RUN(device, adam_cuda(device.context(), args));
    for (OnDevice* t : {&p_, &m_, &v_}) t->download();
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

}  // namespace

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(15);
    for (int64_t n : {0, 1, 7, 16, 257, 5001}) {
      for (int32_t decoupled : {0, 1}) same_as_reference(device, n, decoupled, random);
    }
  });
}
