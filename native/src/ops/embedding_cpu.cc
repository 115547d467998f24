#include "context.h"
#include "cpu/lanes.h"
#include "error.h"
#include "ops/embedding.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

template <class X, class Y>
void embedding_rows(const precis_embedding_args& a, int64_t begin, int64_t end) {
  const int64_t n = columns(a.y);
  const int32_t* ids = static_cast<const int32_t*>(a.ids.data);
  const int32_t* y_rows = static_cast<const int32_t*>(a.y_rows.data);
  for (int64_t t = begin; t < end; t++) {
    copy_row(row<const X>(a.table, ids[t]), n, row<Y>(a.y, y_rows == nullptr ? t : y_rows[t]));
  }
}

}  // namespace

void embedding_cpu(CpuContext& context, const precis_embedding_args& a) {
  const int64_t count = a.ids.dims[0];
  const int64_t grain = columns(a.y) > 0 ? 1 + 16384 / columns(a.y) : 1;
  parallel_ranges(context.pool, count, grain, [&](int64_t begin, int64_t end) {
    if (a.table.dtype == PRECIS_BFLOAT16) {
      a.y.dtype == PRECIS_BFLOAT16 ? embedding_rows<uint16_t, uint16_t>(a, begin, end)
                                   : embedding_rows<uint16_t, float>(a, begin, end);
    } else {
      a.y.dtype == PRECIS_BFLOAT16 ? embedding_rows<float, uint16_t>(a, begin, end)
                                   : embedding_rows<float, float>(a, begin, end);
    }
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis
