#include "context.h"
#include "cpu/lanes.h"
#include "ops/add_bias.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

template <class Y>
void add_bias(CpuContext& context, const precis_add_bias_args& a) {
  const float* bias = static_cast<const float*>(a.bias.data);
  parallel_pieces(context.pool, rows(a.y), columns(a.y),
                  [&](int64_t m, int64_t begin, int64_t end) {
                    Y* y = row<Y>(a.y, m);
                    each_vector(begin, end, [&](int64_t i, auto lanes) {
                      lanes.store(y + i, lanes.load(y + i) + lanes.load(bias + i));
                    });
                  });
}

}  // namespace

void add_bias_cpu(CpuContext& context, const precis_add_bias_args& a) {
  a.y.dtype == PRECIS_BFLOAT16 ? add_bias<uint16_t>(context, a) : add_bias<float>(context, a);
}

}  // namespace PRECIS_ISA
}  // namespace precis
