#include "context.h"
#include "cpu/lanes.h"
#include "ops/add.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

template <class X, class Y>
void add(CpuContext& context, const precis_add_args& a) {
  const Vec alpha = Vec::set1(a.alpha);
  parallel_pieces(context.pool, rows(a.x), columns(a.x),
                  [&](int64_t m, int64_t begin, int64_t end) {
                    const X* x = row<const X>(a.x, m);
                    Y* y = row<Y>(a.y, m);
                    each_vector(begin, end, [&](int64_t i, auto lanes) {
                      lanes.store(y + i, fma(alpha, lanes.load(x + i), lanes.load(y + i)));
                    });
                  });
}

}  // namespace

void add_cpu(CpuContext& context, const precis_add_args& a) {
  if (a.x.dtype == PRECIS_BFLOAT16) {
    a.y.dtype == PRECIS_BFLOAT16 ? add<uint16_t, uint16_t>(context, a)
                                 : add<uint16_t, float>(context, a);
  } else {
    a.y.dtype == PRECIS_BFLOAT16 ? add<float, uint16_t>(context, a) : add<float, float>(context, a);
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis
