#include "cpu/column_sums.h"
#include "ops/rms_norm_backward.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

// Two passes over rows that stay in L1. sums: of dweight, over these rows.
template <class DY, bool kAccumulate, bool kWeight>
void rms_norm_backward_rows(const precis_rms_norm_backward_args& a, int64_t begin, int64_t end,
                            float* sums) {
  const int64_t n = columns(a.x);
  const float* weight = static_cast<const float*>(a.weight.data);
  for (int64_t m = begin; m < end; m++) {
    const float* x = row<const float>(a.x, m);
    const DY* dy = row<const DY>(a.dy, m);
    float* dx = row<float>(a.dx, m);
    float totals[2];
    sum_vectors(n, totals, [&](int64_t i, auto lanes, Vec* s) {
      const Vec v = lanes.load(x + i);
      s[0] = fma(v, v, s[0]);
      s[1] = fma(lanes.load(weight + i) * lanes.load(dy + i), v, s[1]);
    });
    const float width = static_cast<float>(n);
    const float r = 1.0f / __builtin_sqrtf(totals[0] / width + a.epsilon);
    // In x r rather than in x, so that r^3 does not overflow where r^2 x^2 is about 1.
    const Vec scale = Vec::set1(r), mean = Vec::set1(totals[1] / width * r);
    each_vector(0, n, [&](int64_t i, auto lanes) {
      const Vec normal = lanes.load(x + i) * scale, g = lanes.load(dy + i);
      Vec d = (lanes.load(weight + i) * g - normal * mean) * scale;
      if (kAccumulate) d = lanes.load(dx + i) + d;
      lanes.store(dx + i, d);
      if (kWeight) lanes.store(sums + i, fma(g, normal, lanes.load(sums + i)));
    });
  }
}

template <class DY, bool kAccumulate>
void run(CpuContext& context, const precis_rms_norm_backward_args& a) {
  const int64_t n = columns(a.x);
  if (a.dweight.data == nullptr) {
    parallel_ranges(context.pool, rows(a.x), 1 + 8192 / n, [&](int64_t begin, int64_t end) {
      rms_norm_backward_rows<DY, kAccumulate, false>(a, begin, end, nullptr);
    });
    return;
  }
  const RowChunks chunks(rows(a.x));
  float* sums = chunk_sums(context, chunks.count, n);
  parallel_ranges(context.pool, chunks.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c++) {
      rms_norm_backward_rows<DY, kAccumulate, true>(a, chunks.begin(c), chunks.end(c),
                                                    sums + c * n);
    }
  });
  add_chunk_sums(context, sums, chunks.count, n, n, static_cast<float*>(a.dweight.data));
}

template <class DY>
void run(CpuContext& context, const precis_rms_norm_backward_args& a) {
  a.accumulate ? run<DY, true>(context, a) : run<DY, false>(context, a);
}

}  // namespace

void rms_norm_backward_cpu(CpuContext& context, const precis_rms_norm_backward_args& a) {
  a.dy.dtype == PRECIS_BFLOAT16 ? run<uint16_t>(context, a) : run<float>(context, a);
}

}  // namespace PRECIS_ISA
}  // namespace precis
