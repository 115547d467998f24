#include "context.h"
#include "cpu/lanes.h"
#include "ops/convert.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

template <class X, class Y>
void convert_rows(const precis_convert_args& a, int64_t begin, int64_t end) {
  const int64_t n = columns(a.x);
  for (int64_t r = begin; r < end; r++) {
    copy_row(row<const X>(a.x, r), n, row<Y>(a.y, r));
  }
}

}  // namespace

void convert_cpu(CpuContext& context, const precis_convert_args& a) {
  const bool from_bf16 = a.x.dtype == PRECIS_BFLOAT16, to_bf16 = a.y.dtype == PRECIS_BFLOAT16;
  // Fewer than 16 K elements in all are not worth waking a thread for.
  const int64_t grain = columns(a.x) > 0 ? 1 + 16384 / columns(a.x) : 1;
  parallel_ranges(context.pool, rows(a.x), grain, [&](int64_t begin, int64_t end) {
    if (from_bf16) {
      to_bf16 ? convert_rows<uint16_t, uint16_t>(a, begin, end)
              : convert_rows<uint16_t, float>(a, begin, end);
    } else {
      to_bf16 ? convert_rows<float, uint16_t>(a, begin, end)
              : convert_rows<float, float>(a, begin, end);
    }
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis
