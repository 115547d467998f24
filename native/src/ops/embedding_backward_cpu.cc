#include "context.h"
#include "cpu/lanes.h"
#include "error.h"
#include "ops/embedding_backward.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

template <class DY>
void embedding_backward(CpuContext& context, const precis_embedding_backward_args& a) {
  constexpr int64_t kCacheLine = 64 / sizeof(float);
  const int32_t* ids = static_cast<const int32_t*>(a.ids.data);
  parallel_ranges(context.pool, columns(a.dy), kCacheLine, [&](int64_t begin, int64_t end) {
    for (int64_t t = 0; t < a.ids.dims[0]; t++) {
      const DY* dy = row<const DY>(a.dy, t);
      float* to = row<float>(a.dtable, ids[t]);
      each_vector(begin, end, [&](int64_t d, auto lanes) {
        lanes.store(to + d, lanes.load(to + d) + lanes.load(dy + d));
      });
    }
  });
}

}  // namespace

void embedding_backward_cpu(CpuContext& context, const precis_embedding_backward_args& a) {
  a.dy.dtype == PRECIS_BFLOAT16 ? embedding_backward<uint16_t>(context, a)
                                : embedding_backward<float>(context, a);
}

}  // namespace PRECIS_ISA
}  // namespace precis
