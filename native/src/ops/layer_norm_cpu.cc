#include "context.h"
#include "cpu/lanes.h"
#include "ops/layer_norm.h"
#include "ops/row_moments.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

template <class Y>
void layer_norm_rows(const precis_layer_norm_args& a, int64_t begin, int64_t end) {
  const int64_t n = columns(a.x);
  const float* weight = static_cast<const float*>(a.weight.data);
  const float* bias = static_cast<const float*>(a.bias.data);
  for (int64_t m = begin; m < end; m++) {
    const float* x = row<const float>(a.x, m);
    Y* y = row<Y>(a.y, m);
    const RowMoments moments(x, n, a.epsilon);
    const Vec mean = Vec::set1(moments.mean), r = Vec::set1(moments.r);
    each_vector(0, n, [&](int64_t i, auto lanes) {
      const Vec normal = (lanes.load(x + i) - mean) * r;
      lanes.store(y + i, fma(normal, lanes.load(weight + i), lanes.load(bias + i)));
    });
  }
}

}  // namespace

void layer_norm_cpu(CpuContext& context, const precis_layer_norm_args& a) {
  const int64_t grain = 1 + 8192 / columns(a.x);
  parallel_ranges(context.pool, rows(a.x), grain, [&](int64_t begin, int64_t end) {
    a.y.dtype == PRECIS_BFLOAT16 ? layer_norm_rows<uint16_t>(a, begin, end)
                                 : layer_norm_rows<float>(a, begin, end);
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis
