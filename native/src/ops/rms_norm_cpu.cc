#include <cmath>

#include "context.h"
#include "cpu/vec.h"
#include "ops/rms_norm.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

// Two passes over a row that stays in L1; four sums hide the latency of the adds.
template <class Y>
void rms_norm_rows(const precis_rms_norm_args& a, int64_t begin, int64_t end) {
  constexpr int W = Vec::kWidth;
  const int64_t n = columns(a.x);
  const float* weight = static_cast<const float*>(a.weight.data);
  for (int64_t m = begin; m < end; m++) {
    const float* x = row<const float>(a.x, m);
    Y* y = row<Y>(a.y, m);
    Vec s[4] = {Vec::zero(), Vec::zero(), Vec::zero(), Vec::zero()};
    int64_t d = 0;
    for (; d + 4 * W <= n; d += 4 * W) {
      for (int i = 0; i < 4; i++) {
        const Vec v = Vec::load(x + d + i * W);
        s[i] = fma(v, v, s[i]);
      }
    }
    for (; d < n; d += W) {
      const Vec v = d + W <= n ? Vec::load(x + d) : Vec::load(x + d, static_cast<int>(n - d));
      s[0] = fma(v, v, s[0]);
    }
    const float squares = ((s[0] + s[1]) + (s[2] + s[3])).sum();
    const Vec scale =
        Vec::set1(1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + a.epsilon));
    for (d = 0; d + W <= n; d += W) {
      (Vec::load(x + d) * scale * Vec::load(weight + d)).store(y + d);
    }
    if (d < n) {
      const int left = static_cast<int>(n - d);
      (Vec::load(x + d, left) * scale * Vec::load(weight + d, left)).store(y + d, left);
    }
  }
}

}  // namespace

void rms_norm_cpu(CpuContext& context, const precis_rms_norm_args& a) {
  const int64_t grain = 1 + 16384 / columns(a.x);
  parallel_ranges(context.pool, rows(a.x), grain, [&](int64_t begin, int64_t end) {
    a.y.dtype == PRECIS_BFLOAT16 ? rms_norm_rows<uint16_t>(a, begin, end)
                                 : rms_norm_rows<float>(a, begin, end);
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis
