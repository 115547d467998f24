#include "cpu/column_sums.h"
#include "ops/adafactor.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

// The contribution of a piece (a row of a matrix, a chunk of a vector) to rms(u) and rms(p).
struct Squares {
  float update, parameter;
};

// p = keep p - step u
struct Change {
  Vec keep, step;

  Change(const precis_adafactor_args& a, const Squares* squares, int64_t pieces) {
    double update = 0, parameter = 0;
    for (int64_t i = 0; i < pieces; i++) {
      update += squares[i].update;
      parameter += squares[i].parameter;
    }
    const double count = static_cast<double>(rows(a.parameter) * columns(a.parameter));
    const double excess = __builtin_sqrt(update / count) / a.clip_threshold;
    const double size = __builtin_sqrt(parameter / count);
    double lr = a.learning_rate;
    if (a.scale_parameter) lr *= size > a.epsilon2 ? size : a.epsilon2;
    keep = Vec::set1(static_cast<float>(1 - lr * a.weight_decay));
    // excess > 1 ? excess : 1 would hide NaN.
    step = Vec::set1(static_cast<float>(excess <= 1 ? lr : lr / excess));
  }
  Vec operator()(Vec p, Vec u) const { return keep * p - step * u; }
};

struct Moments {
  float keep, rest, epsilon;

  explicit Moments(const precis_adafactor_args& a) : epsilon(a.epsilon1) {
    const double now = __builtin_pow(static_cast<double>(a.step), a.decay_rate);
    keep = static_cast<float>(1 - now);
    rest = static_cast<float>(now);
  }
  float operator()(float before, float mean_square) const {
    return keep * before + rest * (mean_square + epsilon);
  }
  Vec operator()(Vec before, Vec mean_square) const {
    return fma(Vec::set1(keep), before, Vec::set1(rest) * (mean_square + Vec::set1(epsilon)));
  }
};

void adafactor_matrix(CpuContext& context, const precis_adafactor_args& a) {
  const int64_t n = rows(a.parameter), k = columns(a.parameter);
  const Vec scale = Vec::set1(a.gradient_scale);
  const Moments decay(a);
  float* row_moments = static_cast<float*>(a.row.data);
  float* column_moments = static_cast<float*>(a.column.data);
  // Scratch memory holds the chunks' column sums, then 1 / sqrt(column), then the rows' squares.
  const RowChunks chunks(n);
  float* sums = chunk_sums(context, chunks.count + 1 + (2 * n + k - 1) / k, k);
  float* factors = sums + chunks.count * k;
  Squares* squares = reinterpret_cast<Squares*>(factors + k);
  parallel_ranges(context.pool, chunks.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c++) {
      float* chunk = sums + c * k;
      for (int64_t r = chunks.begin(c); r < chunks.end(c); r++) {
        const float* p = row<const float>(a.parameter, r);
        const float* gradient = row<const float>(a.gradient, r);
        float totals[2];
        sum_vectors(k, totals, [&](int64_t i, auto lanes, Vec* s) {
          const Vec g = scale * lanes.load(gradient + i), square = g * g, v = lanes.load(p + i);
          lanes.store(chunk + i, lanes.load(chunk + i) + square);
          s[0] = s[0] + square;
          s[1] = fma(v, v, s[1]);
        });
        row_moments[r] = decay(row_moments[r], totals[0] / static_cast<float>(k));
        squares[r].parameter = totals[1];
      }
    }
  });
  const Vec share = Vec::set1(1.0f / static_cast<float>(n));
  parallel_pieces(context.pool, 1, k, [&](int64_t, int64_t begin, int64_t end) {
    each_vector(begin, end, [&](int64_t i, auto lanes) {
      Vec total = Vec::zero();
      for (int64_t c = 0; c < chunks.count; c++) total = total + lanes.load(sums + c * k + i);
      const Vec moment = decay(lanes.load(column_moments + i), total * share);
      lanes.store(column_moments + i, moment);
      lanes.store(factors + i, Vec::set1(1.0f) / sqrt(moment));
    });
  });
  double mean = 0;
  for (int64_t r = 0; r < n; r++) mean += row_moments[r];
  mean /= static_cast<double>(n);
  auto row_factor = [&](int64_t r) {
    return Vec::set1(static_cast<float>(1 / __builtin_sqrt(row_moments[r] / mean))) * scale;
  };
  const int64_t grain = 1 + 8192 / k;
  parallel_ranges(context.pool, n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float* gradient = row<const float>(a.gradient, r);
      const Vec factor = row_factor(r);
      float totals[1];
      sum_vectors(k, totals, [&](int64_t i, auto lanes, Vec* s) {
        const Vec u = lanes.load(gradient + i) * factor * lanes.load(factors + i);
        s[0] = fma(u, u, s[0]);
      });
      squares[r].update = totals[0];
    }
  });
  const Change change(a, squares, n);
  parallel_ranges(context.pool, n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      float* p = row<float>(a.parameter, r);
      const float* gradient = row<const float>(a.gradient, r);
      const Vec factor = row_factor(r);
      each_vector(0, k, [&](int64_t i, auto lanes) {
        const Vec u = lanes.load(gradient + i) * factor * lanes.load(factors + i);
        lanes.store(p + i, change(lanes.load(p + i), u));
      });
    }
  });
}

void adafactor_vector(CpuContext& context, const precis_adafactor_args& a) {
  constexpr int64_t kChunk = 16384;
  const int64_t n = columns(a.parameter), chunks = (n + kChunk - 1) / kChunk;
  const Vec scale = Vec::set1(a.gradient_scale);
  const Moments decay(a);
  float* parameter = static_cast<float*>(a.parameter.data);
  const float* gradient = static_cast<const float*>(a.gradient.data);
  float* moments = static_cast<float*>(a.row.data);
  Squares* squares =
      static_cast<Squares*>(context.scratch.reserve(static_cast<size_t>(chunks) * sizeof(Squares)));
  auto length = [&](int64_t c) { return (c + 1) * kChunk < n ? kChunk : n - c * kChunk; };
  parallel_ranges(context.pool, chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c++) {
      const int64_t from = c * kChunk;
      float totals[2];
      sum_vectors(length(c), totals, [&](int64_t j, auto lanes, Vec* s) {
        const int64_t i = from + j;
        const Vec g = scale * lanes.load(gradient + i), p = lanes.load(parameter + i);
        const Vec moment = decay(lanes.load(moments + i), g * g);
        lanes.store(moments + i, moment);
        const Vec u = lanes.keep(g / sqrt(moment));
        s[0] = fma(u, u, s[0]);
        s[1] = fma(p, p, s[1]);
      });
      squares[c] = {totals[0], totals[1]};
    }
  });
  const Change change(a, squares, chunks);
  parallel_ranges(context.pool, n, kChunk, [&](int64_t begin, int64_t end) {
    each_vector(begin, end, [&](int64_t i, auto lanes) {
      const Vec u = scale * lanes.load(gradient + i) / sqrt(lanes.load(moments + i));
      lanes.store(parameter + i, change(lanes.load(parameter + i), u));
    });
  });
}

}  // namespace

void adafactor_cpu(CpuContext& context, const precis_adafactor_args& a) {
  if (rows(a.parameter) == 0 || columns(a.parameter) == 0) return;
  a.parameter.rank == 2 ? adafactor_matrix(context, a) : adafactor_vector(context, a);
}

}  // namespace PRECIS_ISA
}  // namespace precis
