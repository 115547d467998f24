#include "ops/weight_gradient.h"

#include "device_test.h"
#include "matmul_cases.h"
#include "random/dropout_mask.h"
#include "weight_gradient.cuh"

using namespace precis;

namespace {

// Several gradients in one launch, one of which drops its x on the way, are bitwise those of single
// launches.
void several(TestDevice& device, int64_t m, int32_t dtype, int32_t x_type, Random& random) {
  constexpr int64_t kInputs = 72, kOutputs = 66, kRanks = 9;
  GuardedTensor dy(PRECIS_FLOAT32, {m, kOutputs}), down(PRECIS_FLOAT32, {m, kRanks}, 3, 3);
  GuardedTensor x(x_type, {m, kInputs}), dropped(x_type, {m, kInputs}), alone(x_type, {m, kInputs});
  GuardedTensor da(PRECIS_FLOAT32, {kRanks, kInputs}), want_da(PRECIS_FLOAT32, {kRanks, kInputs});
  GuardedTensor db(PRECIS_FLOAT32, {kOutputs, kRanks}), want_db(PRECIS_FLOAT32, {kOutputs, kRanks});
  GuardedTensor dw(PRECIS_FLOAT32, {kOutputs, kInputs});
  GuardedTensor want_dw(PRECIS_FLOAT32, {kOutputs, kInputs});
  for (GuardedTensor* each : {&dy, &down, &x}) each->fill_normal(random);
  for (GuardedTensor* each : {&da, &want_da, &db, &want_db, &dw, &want_dw}) each->fill(0.5f);
  OnDevice dy_(dy), down_(down), x_(x), dropped_(dropped), alone_(alone), da_(da), db_(db), dw_(dw);
  OnDevice want_da_(want_da), want_db_(want_db), want_dw_(want_dw);
  GuardedTensor names(PRECIS_INT64, {m});
  for (int64_t r = 0; r < m; r++) {
    names.data<int64_t>()[r] = static_cast<int64_t>(random.next());
  }
  OnDevice names_(names);
  precis_dropout_args dropout = {x_, alone_, 7, 3, 0.25f, 0, {}};
  if (m < 100) dropout.dropout_rows = names_;
  EXPECT_RUN(device, dropout_cuda(device.context(), dropout));
  EXPECT_RUN(device,
             weight_gradient_cuda(device.context(), {dy_, down_, want_db_, 1, dtype, 1, 0}));
  EXPECT_RUN(device,
             weight_gradient_cuda(device.context(), {down_, alone_, want_da_, 2, dtype, 0, 0}));
  EXPECT_RUN(device,
             weight_gradient_cuda(device.context(), {dy_, alone_, want_dw_, 1, dtype, 1, 0}));

  const DroppedRows before = {x_, element_dropout(dropout)};
  const DeviceArray<uint32_t> finished{std::vector<uint32_t>(kMostTiles)};
  WeightGradients all;
  EXPECT(all.add({dy_, down_, db_, 1, dtype, 1, 0}, nullptr));
  EXPECT(all.add({down_, dropped_, da_, 2, dtype, 0, 0}, &before));
  EXPECT(all.add({dy_, dropped_, dw_, 1, dtype, 1, 0}, &before));
  EXPECT_RUN(device, weight_gradients(device.context(), all, finished));
  EXPECT(finished.get() == std::vector<uint32_t>(kMostTiles), "a count is left");
  const struct {
    OnDevice *got, *want;
    GuardedTensor *host, *want_host;
  } results[] = {{&da_, &want_da_, &da, &want_da},
                 {&db_, &want_db_, &db, &want_db},
                 {&dw_, &want_dw_, &dw, &want_dw},
                 {&dropped_, &alone_, &dropped, &alone}};
  for (const auto& each : results) {
    each.got->download();
    each.want->download();
    int64_t differences = 0;
    for (int64_t r = 0; r < rows(each.host->tensor()); r++) {
      differences += first_difference(*each.host, r, *each.want_host, r) >= 0;
    }
    EXPECT(differences == 0, "%s: %lld rows of %lld differ", device.name(),
           static_cast<long long>(differences), static_cast<long long>(m));
  }
  // Other rows, another type, and one too many.
  OnDevice few_(want_da);
  EXPECT(!all.add({few_, few_, dw_, 1, dtype, 1, 0}, nullptr));
  EXPECT(
      !all.add({dy_, x_, dw_, 1, dtype == PRECIS_FLOAT32 ? PRECIS_BFLOAT16 : PRECIS_FLOAT32, 1, 0},
               nullptr));
  while (all.count < kMostGradients) EXPECT(all.add({dy_, x_, dw_, 1, dtype, 1, 0}, nullptr));
  EXPECT(!all.add({dy_, x_, dw_, 1, dtype, 1, 0}, nullptr));
}

}  // namespace

int main() {
  TestDevice device;
  if (!device.open()) return device.skip();
  const struct {
    int64_t m, n, k;
  } shapes[] = {{0, 3, 5}, {1, 1, 1}, {33, 16, 72}, {70, 130, 65}, {1100, 8, 40}, {20, 40, 300}};
  while (device.next_order(3)) {
    Random random(31);
    for (const auto& s : shapes) {
      for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        for (int32_t accumulate : {0, 1}) {
          const int32_t dy_type = accumulate ? PRECIS_BFLOAT16 : PRECIS_FLOAT32;
          const int64_t gap = s.k % 8;
          GuardedTensor dy(dy_type, {s.m, s.n}, gap, gap), x(PRECIS_FLOAT32, {s.m, s.k}, gap, gap);
          GuardedTensor dw(PRECIS_FLOAT32, {s.n, s.k}, gap, gap), want(PRECIS_FLOAT32, {s.n, s.k});
          dy.fill_normal(random);
          x.fill_normal(random);
          dw.fill(0.5f);
          want.fill(0.5f);
          OnDevice dy_(dy), x_(x), dw_(dw);
          EXPECT_RUN(device, weight_gradient_cuda(device.context(),
                                                  {dy_, x_, dw_, -0.5f, dtype, accumulate, 0}));
          dw_.download();
          weight_gradient_ref({dy, x, want, -0.5f, dtype, accumulate, 0});
          expect_close(dw, want, 2e-6, sum_error(s.m), device.name());
        }
      }
    }
    for (int64_t m : {40, 530}) {
      several(device, m, PRECIS_BFLOAT16, PRECIS_BFLOAT16, random);
      several(device, m, PRECIS_FLOAT32, PRECIS_FLOAT32, random);
      several(device, m, PRECIS_FLOAT32, PRECIS_BFLOAT16, random);
    }
  }
  return test_result();
}
