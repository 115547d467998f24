#include "context.h"
#include "cpu/lanes.h"
#include "ops/activation_backward.h"
#include "ops/activation_functions.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

template <class Kind, bool kGated, class X, class DY, class DX>
void activation_backward(CpuContext& context, const precis_activation_backward_args& a) {
  const int64_t n = columns(a.dy);
  parallel_pieces(context.pool, rows(a.dy), n, [&](int64_t m, int64_t begin, int64_t end) {
    const X* x = row<const X>(a.x, m);
    const DY* dy = row<const DY>(a.dy, m);
    DX* dx = row<DX>(a.dx, m);
    each_vector(begin, end, [&](int64_t f, auto lanes) {
      Vec y;
      const Vec g = lanes.load(dy + f), slope = Kind::slope(lanes.load(x + f), &y);
      if (kGated) {
        const Vec linear = lanes.load(x + n + f);
        lanes.store(dx + f, g * slope * linear);
        lanes.store(dx + n + f, g * y);
      } else {
        lanes.store(dx + f, g * slope);
      }
    });
  });
}

template <class Kind, bool kGated, class X, class DY>
void run(CpuContext& context, const precis_activation_backward_args& a) {
  a.dx.dtype == PRECIS_BFLOAT16 ? activation_backward<Kind, kGated, X, DY, uint16_t>(context, a)
                                : activation_backward<Kind, kGated, X, DY, float>(context, a);
}

template <class Kind, bool kGated>
void run(CpuContext& context, const precis_activation_backward_args& a) {
  if (a.x.dtype == PRECIS_BFLOAT16) {
    a.dy.dtype == PRECIS_BFLOAT16 ? run<Kind, kGated, uint16_t, uint16_t>(context, a)
                                  : run<Kind, kGated, uint16_t, float>(context, a);
  } else {
    a.dy.dtype == PRECIS_BFLOAT16 ? run<Kind, kGated, float, uint16_t>(context, a)
                                  : run<Kind, kGated, float, float>(context, a);
  }
}

}  // namespace

void activation_backward_cpu(CpuContext& context, const precis_activation_backward_args& a) {
  with_activation(a.kind, [&](auto kind) {
    using Kind = decltype(kind);
    a.gated ? run<Kind, true>(context, a) : run<Kind, false>(context, a);
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis
