#include "context.h"
#include "cpu/dropout_bits.h"
#include "cpu/lanes.h"
#include "ops/dropout.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

template <class X, class Y, bool kAccumulate>
void dropout(CpuContext& context, const precis_dropout_args& a) {
  const uint32_t threshold = dropout_threshold(a.probability);
  const Vec scale = Vec::set1(1.0f / (1.0f - a.probability));
  const int64_t n = columns(a.x);
  const auto* names = static_cast<const int64_t*>(a.dropout_rows.data);
  parallel_pieces(context.pool, rows(a.x), n, [&](int64_t m, int64_t begin, int64_t end) {
    const X* x = row<const X>(a.x, m);
    Y* y = row<Y>(a.y, m);
    // Masks are computed for groups whose start is a multiple of the group's size, so the first and
    // the last group of a row may extend into the neighboring rows.
    const DropoutRow of = dropout_row(names, m, a.offset);
    const uint64_t first = of.row * static_cast<uint64_t>(n);
    for (int64_t from = begin; from < end;) {
      const int64_t skipped = static_cast<int64_t>((first + from) % kDropoutGroup);
      const int64_t left = kDropoutGroup - skipped, to = from + left < end ? from + left : end;
      const uint64_t bits =
          threshold == 0
              ? ~uint64_t{0}
              : dropout_bits(a.seed, of.offset, first + from - skipped, threshold) >> skipped;
      each_vector(from, to, [&](int64_t i, auto lanes) {
        const Vec kept = keep_lanes(lanes.load(x + i), bits >> (i - from));
        lanes.store(y + i, kAccumulate ? fma(kept, scale, lanes.load(y + i)) : kept * scale);
      });
      from = to;
    }
  });
}

template <class X>
void run(CpuContext& context, const precis_dropout_args& a) {
  if (a.y.dtype == PRECIS_BFLOAT16) {
    dropout<X, uint16_t, false>(context, a);
  } else {
    a.accumulate ? dropout<X, float, true>(context, a) : dropout<X, float, false>(context, a);
  }
}

}  // namespace

void dropout_cpu(CpuContext& context, const precis_dropout_args& a) {
  a.x.dtype == PRECIS_BFLOAT16 ? run<uint16_t>(context, a) : run<float>(context, a);
}

}  // namespace PRECIS_ISA
}  // namespace precis
