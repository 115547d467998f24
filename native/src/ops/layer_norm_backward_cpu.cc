#include "cpu/column_sums.h"
#include "ops/layer_norm_backward.h"
#include "ops/row_moments.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

// Rows stay in L1 through all passes. sums: of dweight and, n behind it, of dbias, over these rows.
template <class DY, bool kAccumulate, bool kSums>
void layer_norm_backward_rows(const precis_layer_norm_backward_args& a, int64_t begin, int64_t end,
                              float* sums) {
  const int64_t n = columns(a.x);
  const float* weight = static_cast<const float*>(a.weight.data);
  for (int64_t m = begin; m < end; m++) {
    const float* x = row<const float>(a.x, m);
    const DY* dy = row<const DY>(a.dy, m);
    float* dx = row<float>(a.dx, m);
    const RowMoments moments(x, n, a.epsilon);
    const Vec mean = Vec::set1(moments.mean), r = Vec::set1(moments.r);
    float totals[2];
    sum_vectors(n, totals, [&](int64_t i, auto lanes, Vec* s) {
      const Vec g = lanes.load(weight + i) * lanes.load(dy + i);
      s[0] = s[0] + g;
      s[1] = fma(g, (lanes.load(x + i) - mean) * r, s[1]);
    });
    const Vec mean_gradient = Vec::set1(totals[0] / static_cast<float>(n));
    const Vec mean_product = Vec::set1(totals[1] / static_cast<float>(n));
    each_vector(0, n, [&](int64_t i, auto lanes) {
      const Vec normal = (lanes.load(x + i) - mean) * r, g = lanes.load(dy + i);
      Vec d = (lanes.load(weight + i) * g - mean_gradient - normal * mean_product) * r;
      if (kAccumulate) d = lanes.load(dx + i) + d;
      lanes.store(dx + i, d);
      if (kSums) {
        lanes.store(sums + i, fma(g, normal, lanes.load(sums + i)));
        lanes.store(sums + n + i, lanes.load(sums + n + i) + g);
      }
    });
  }
}

template <class DY, bool kAccumulate>
void run(CpuContext& context, const precis_layer_norm_backward_args& a) {
  const int64_t n = columns(a.x);
  if (a.dweight.data == nullptr && a.dbias.data == nullptr) {
    parallel_ranges(context.pool, rows(a.x), 1 + 8192 / n, [&](int64_t begin, int64_t end) {
      layer_norm_backward_rows<DY, kAccumulate, false>(a, begin, end, nullptr);
    });
    return;
  }
  const RowChunks chunks(rows(a.x));
  float* sums = chunk_sums(context, chunks.count, 2 * n);
  parallel_ranges(context.pool, chunks.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c++) {
      layer_norm_backward_rows<DY, kAccumulate, true>(a, chunks.begin(c), chunks.end(c),
                                                      sums + c * 2 * n);
    }
  });
  if (a.dweight.data != nullptr) {
    add_chunk_sums(context, sums, chunks.count, 2 * n, n, static_cast<float*>(a.dweight.data));
  }
  if (a.dbias.data != nullptr) {
    add_chunk_sums(context, sums + n, chunks.count, 2 * n, n, static_cast<float*>(a.dbias.data));
  }
}

template <class DY>
void run(CpuContext& context, const precis_layer_norm_backward_args& a) {
  a.accumulate ? run<DY, true>(context, a) : run<DY, false>(context, a);
}

}  // namespace

void layer_norm_backward_cpu(CpuContext& context, const precis_layer_norm_backward_args& a) {
  a.dy.dtype == PRECIS_BFLOAT16 ? run<uint16_t>(context, a) : run<float>(context, a);
}

}  // namespace PRECIS_ISA
}  // namespace precis
