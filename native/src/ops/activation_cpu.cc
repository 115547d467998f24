#include "context.h"
#include "cpu/lanes.h"
#include "ops/activation.h"
#include "ops/activation_functions.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

template <class Kind, bool kGated, class X, class Y>
void activation(CpuContext& context, const precis_activation_args& a) {
  const int64_t n = columns(a.y);
  parallel_pieces(context.pool, rows(a.y), n, [&](int64_t m, int64_t begin, int64_t end) {
    const X* x = row<const X>(a.x, m);
    Y* y = row<Y>(a.y, m);
    each_vector(begin, end, [&](int64_t f, auto lanes) {
      Vec v = Kind::act(lanes.load(x + f));
      if (kGated) v = v * lanes.load(x + n + f);
      lanes.store(y + f, v);
    });
  });
}

template <class Kind, bool kGated>
void run(CpuContext& context, const precis_activation_args& a) {
  if (a.x.dtype == PRECIS_BFLOAT16) {
    a.y.dtype == PRECIS_BFLOAT16 ? activation<Kind, kGated, uint16_t, uint16_t>(context, a)
                                 : activation<Kind, kGated, uint16_t, float>(context, a);
  } else {
    a.y.dtype == PRECIS_BFLOAT16 ? activation<Kind, kGated, float, uint16_t>(context, a)
                                 : activation<Kind, kGated, float, float>(context, a);
  }
}

}  // namespace

void activation_cpu(CpuContext& context, const precis_activation_args& a) {
  with_activation(a.kind, [&](auto kind) {
    using Kind = decltype(kind);
    a.gated ? run<Kind, true>(context, a) : run<Kind, false>(context, a);
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis
