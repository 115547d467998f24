#include "cpu/column_sums.h"
#include "ops/bias_gradient.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

template <class DY>
void bias_gradient(CpuContext& context, const precis_bias_gradient_args& a) {
  const int64_t n = columns(a.dy);
  const RowChunks chunks(rows(a.dy));
  float* sums = chunk_sums(context, chunks.count, n);
  parallel_ranges(context.pool, chunks.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c++) {
      float* to = sums + c * n;
      for (int64_t m = chunks.begin(c); m < chunks.end(c); m++) {
        const DY* dy = row<const DY>(a.dy, m);
        each_vector(0, n, [&](int64_t i, auto lanes) {
          lanes.store(to + i, lanes.load(to + i) + lanes.load(dy + i));
        });
      }
    }
  });
  add_chunk_sums(context, sums, chunks.count, n, n, static_cast<float*>(a.dbias.data));
}

}  // namespace

void bias_gradient_cpu(CpuContext& context, const precis_bias_gradient_args& a) {
  a.dy.dtype == PRECIS_BFLOAT16 ? bias_gradient<uint16_t>(context, a)
                                : bias_gradient<float>(context, a);
}

}  // namespace PRECIS_ISA
}  // namespace precis
