// The kernel must be bitwise identical to top_k_ref.

#include "ops/top_k.h"

#include "device_test.h"

using namespace precis;

namespace {

enum Kind { kNormal, kTies, kFewFinite, kZeros, kSorted, kCrowded, kKinds };

void fill(Kind kind, GuardedTensor& x, Random& random) {
  const int64_t n = columns(x);
  for (int64_t r = 0; r < rows(x); r++) {
    float* v = row<float>(x, r);
    for (int64_t i = 0; i < n; i++) {
      v[i] = kind == kNormal      ? random.normal()
             : kind == kTies      ? static_cast<float>(random.below(3)) - 1
             : kind == kFewFinite ? (random.below(40) == 0 ? 1.0f : -INFINITY)
             : kind == kZeros     ? (random.below(2) ? 0.0f : -0.0f)
             : kind == kSorted    ? static_cast<float>(i) * (r % 2 ? 1 : -1)
                               // All of one thread's elements are below all others.
                               : random.normal() - (i % 128 == 5 ? 100.0f : 0.0f);
    }
    if (kind == kNormal && n > 2) v[n / 2] = INFINITY;
  }
}

void same_as_reference(TestDevice& device, int64_t m, int64_t n, int64_t k, Kind kind,
                       Random& random) {
  GuardedTensor x(PRECIS_FLOAT32, {m, n}, 3, 1);
  GuardedTensor values(PRECIS_FLOAT32, {m, k}, 2, 1), indices(PRECIS_INT32, {m, k}, 1, 1);
  GuardedTensor want_values(PRECIS_FLOAT32, {m, k}), want_indices(PRECIS_INT32, {m, k});
  fill(kind, x, random);
  OnDevice x_(x), values_(values), indices_(indices);
  EXPECT_RUN(device, top_k_cuda(device.context(), {x_, values_, indices_}));
  values_.download();
  indices_.download();
  top_k_ref({x, want_values, want_indices});
  bool same = true;
  for (int64_t r = 0; r < m; r++) {
    same &= std::memcmp(row<float>(values, r), row<float>(want_values, r), k * 4) == 0;
    same &= std::memcmp(row<float>(indices, r), row<float>(want_indices, r), k * 4) == 0;
  }
  EXPECT(same, "%s n %lld k %lld kind %d", device.name(), static_cast<long long>(n),
         static_cast<long long>(k), kind);
  EXPECT(device.problem() == kNoProblem, "%s", device.name());
}

}  // namespace

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(7);
    for (int64_t n : {1, 2, 63, 65, 257, 1000}) {
      for (int64_t k : {1, 2, 8, 50, 128, 300, 999}) {
        if (k > n) continue;
        for (int kind = 0; kind < kKinds; kind++) {
          same_as_reference(device, n < 300 ? 3 : 2, n, k, static_cast<Kind>(kind), random);
        }
      }
    }
    // More candidates than fit into shared memory; a k larger than that; all elements.
    for (int kind = 0; kind < kKinds; kind++) {
      same_as_reference(device, 1, 4096, 128, static_cast<Kind>(kind), random);
    }
    same_as_reference(device, 1, 4096, 2049, kNormal, random);
    same_as_reference(device, 2, 4099, 4099, kTies, random);
    same_as_reference(device, 1, 32128, 8, kNormal, random);
    same_as_reference(device, 1, 32128, 1000, kTies, random);

    GuardedTensor x(PRECIS_FLOAT32, {3, 70}), values(PRECIS_FLOAT32, {3, 4});
    GuardedTensor indices(PRECIS_INT32, {3, 4});
    for (int64_t bad : {0, 40, 69}) {
      x.fill(1);
      row<float>(x, 1)[bad] = row<float>(x, 2)[3] = -NAN;
      OnDevice x_(x), values_(values), indices_(indices);
      EXPECT_RUN(device, top_k_cuda(device.context(), {x_, values_, indices_}));
      EXPECT(device.problem() == problem_code(ProblemOp::kTopK, 1, ProblemKind::kNan));
    }
  });
}
