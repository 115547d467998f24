// One step of Adafactor                                                  native/src/ops/adafactor.h
//
// The kernels for a matrix compute, in this order: the rows' squares, one warp per row; the
// columns' squares (column_sums.cuh); the mean of the rows' moments; the rows' squares of u; the
// learning rate from those; the parameters. The gradient is read four times and the parameter
// twice: u is cheaper to compute twice than to store. A vector is processed in chunks of a fixed
// length and read twice. Scalars and all sums over rows or chunks are in double. No value is copied
// to the host.
#include <cmath>

#include "column_sums.cuh"
#include "elements.cuh"
#include "kernels.h"
#include "ops/adafactor.h"

namespace precis {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 256;
constexpr int64_t kChunk = 16384;

// The sums of squares of u and p over a row or a chunk.
struct Squares {
  float update, parameter;
};

// p = keep p - step u
struct Change {
  float keep, step;
};

// Scalars that one launch computes for the next.
struct Scalars {
  double mean;  // the mean of the rows' moments
  Change change;
};

struct Decay {
  float keep, rest, epsilon;

  __device__ __forceinline__ float operator()(float before, float mean_square) const {
    return keep * before + rest * (mean_square + epsilon);
  }
};

struct Factored {
  Matrix<float> parameter;
  Matrix<const float> gradient;
  float* rows;
  float* columns;
  float* factors;  // (K) 1 / sqrt(column)
  Squares* squares;
  Scalars* scalars;
  int64_t n;
  int k;
  float scale;
  Decay decay;

  // The factor that turns a gradient of row m into u, without the column's factor.
  __device__ __forceinline__ float row_factor(int64_t m) const {
    return scale / sqrtf(rows[m] / static_cast<float>(scalars->mean));
  }
  struct HeldUpdate {
    RawEight<float> gradient, factors;
  };
  __device__ __forceinline__ HeldUpdate load_update(int64_t m, int64_t d, int count) const {
    HeldUpdate held;
    held.gradient.load(gradient.row(m) + d, count);
    held.factors.load(factors + d, count);
    return held;
  }
  __device__ __forceinline__ void update(const HeldUpdate& held, float factor,
                                         float (&u)[kEight]) const {
    float f[kEight];
    held.gradient.convert(u);
    held.factors.convert(f);
#pragma unroll
    for (int i = 0; i < kEight; i++) u[i] = u[i] * factor * f[i];
  }
  // Calls use(held) for what load(d, count) has asked for of each eight of the row; all lanes of a
  // warp call it.
  template <class Load, class Use>
  __device__ __forceinline__ void each_of_row(const Load& load, const Use& use) const {
    for_eights<2>(thread() % 32 * kEight, k, 32 * kEight, load,
                  [&](int, int, const auto& held) { use(held); });
  }
};

__device__ __forceinline__ float sum_squares(const float (&v)[kEight], float scale) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kEight; i++) sum += scale * v[i] * (scale * v[i]);
  return sum;
}

__global__ void __launch_bounds__(kWarps * 32) adafactor_rows_kernel(Factored f) {
  for (int64_t m = int64_t{blockIdx.x} * kWarps + thread() / 32; m < f.n;
       m += int64_t{gridDim.x} * kWarps) {
    struct Held {
      RawEight<float> gradient, parameter;
    };
    float gradients = 0, parameters = 0;
    f.each_of_row(
        [&](int d, int count) {
          Held held;
          held.gradient.load(f.gradient.row(m) + d, count);
          held.parameter.load(f.parameter.row(m) + d, count);
          return held;
        },
        [&](const Held& held) {
          float v[kEight];
          held.gradient.convert(v);
          gradients += sum_squares(v, f.scale);
          held.parameter.convert(v);
          parameters += sum_squares(v, 1.0f);
        });
    gradients = warp_reduce(gradients, Sum());
    parameters = warp_reduce(parameters, Sum());
    if (thread() % 32 != 0) continue;
    f.rows[m] = f.decay(f.rows[m], gradients / static_cast<float>(f.k));
    f.squares[m].parameter = parameters;
  }
}

struct GradientSquare {
  Factored f;

  static constexpr int kAhead = 4;
  using Held = RawEight<float>;
  __device__ __forceinline__ Held load(int64_t m, int d, int count) const {
    Held held;
    held.load(f.gradient.row(m) + d, count);
    return held;
  }
  __device__ __forceinline__ void operator()(int64_t, const Held& held,
                                             float (&sum)[1][kEight]) const {
    float v[kEight];
    held.convert(v);
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      const float g = f.scale * v[i];
      sum[0][i] += g * g;
    }
  }
};
struct ColumnMoment {
  Factored f;

  __device__ __forceinline__ void operator()(int d, const float (&sum)[1]) const {
    const float moment = f.decay(f.columns[d], sum[0] / static_cast<float>(f.n));
    f.columns[d] = moment;
    f.factors[d] = 1.0f / sqrtf(moment);
  }
};

__global__ void __launch_bounds__(kThreads) adafactor_mean_kernel(Factored f) {
  double sum = 0;
  for (int64_t m = thread(); m < f.n; m += kThreads) sum += static_cast<double>(f.rows[m]);
  sum = block_reduce(sum, Sum());
  if (thread() == 0) f.scalars->mean = sum / static_cast<double>(f.n);
}

__global__ void __launch_bounds__(kWarps * 32) adafactor_updates_kernel(Factored f) {
  for (int64_t m = int64_t{blockIdx.x} * kWarps + thread() / 32; m < f.n;
       m += int64_t{gridDim.x} * kWarps) {
    const float factor = f.row_factor(m);
    float updates = 0;
    f.each_of_row([&](int d, int count) { return f.load_update(m, d, count); },
                  [&](const Factored::HeldUpdate& held) {
                    float u[kEight];
                    f.update(held, factor, u);
                    updates += sum_squares(u, 1.0f);
                  });
    updates = warp_reduce(updates, Sum());
    if (thread() % 32 == 0) f.squares[m].update = updates;
  }
}

struct ChangeMatrix {
  Factored f;

  static constexpr int kAhead = 1;
  struct Held {
    RawEight<float> parameter;
    Factored::HeldUpdate update;
  };
  __device__ __forceinline__ Held load(int64_t m, int64_t d, int count) const {
    Held held;
    held.parameter.load(f.parameter.row(m) + d, count);
    held.update = f.load_update(m, d, count);
    return held;
  }
  __device__ __forceinline__ void operator()(int64_t m, int64_t d, int count,
                                             const Held& held) const {
    const Change change = f.scalars->change;
    float p[kEight], u[kEight];
    held.parameter.convert(p);
    f.update(held.update, f.row_factor(m), u);
#pragma unroll
    for (int i = 0; i < kEight; i++) p[i] = change.keep * p[i] - change.step * u[i];
    store8(f.parameter.row(m) + d, count, p);
  }
};

struct Rate {
  double learning_rate, weight_decay, clip_threshold, epsilon2;
  bool scale_parameter;
};

__global__ void __launch_bounds__(kThreads)
    adafactor_change_kernel(const Squares* squares, int64_t pieces, double count, Rate rate,
                            Scalars* scalars) {
  double update = 0, parameter = 0;
  for (int64_t i = thread(); i < pieces; i += kThreads) {
    update += static_cast<double>(squares[i].update);
    parameter += static_cast<double>(squares[i].parameter);
  }
  update = block_reduce(update, Sum());
  parameter = block_reduce(parameter, Sum());
  if (thread() != 0) return;
  const double excess = sqrt(update / count) / rate.clip_threshold;
  const double size = sqrt(parameter / count);
  double lr = rate.learning_rate;
  if (rate.scale_parameter) lr *= size > rate.epsilon2 ? size : rate.epsilon2;
  // max(1, excess) would hide NaN.
  scalars->change = {static_cast<float>(1 - lr * rate.weight_decay),
                     static_cast<float>(excess <= 1 ? lr : lr / excess)};
}

struct Vector {
  float* parameter;
  const float* gradient;
  float* moments;
  Squares* squares;
  Scalars* scalars;
  int64_t n;
  float scale;
  Decay decay;

  __device__ void operator()(int64_t, int64_t i, int count) const {
    const Change change = scalars->change;
    float p[kEight], g[kEight], v[kEight];
    load8(parameter + i, count, p);
    load8(gradient + i, count, g);
    load8(moments + i, count, v);
#pragma unroll
    for (int j = 0; j < kEight; j++) {
      p[j] = change.keep * p[j] - change.step * (scale * g[j] / sqrtf(v[j]));
    }
    store8(parameter + i, count, p);
  }
};

__global__ void __launch_bounds__(kThreads) adafactor_vector_kernel(Vector f) {
  const int64_t first = int64_t{blockIdx.x} * kChunk;
  const int64_t end = min(first + kChunk, f.n);
  float updates = 0, parameters = 0;
  for (int64_t i = first + thread() * kEight; i < end; i += kThreads * kEight) {
    const int count = up_to_eight(end - i);
    float p[kEight], g[kEight], v[kEight];
    load8(f.parameter + i, count, p);
    load8(f.gradient + i, count, g);
    load8(f.moments + i, count, v);
#pragma unroll
    for (int j = 0; j < kEight; j++) {
      g[j] *= f.scale;
      v[j] = f.decay(v[j], g[j] * g[j]);
      const float u = j < count ? g[j] / sqrtf(v[j]) : 0.0f;
      updates += u * u;
    }
    parameters += sum_squares(p, 1.0f);
    store8(f.moments + i, count, v);
  }
  updates = block_reduce(updates, Sum());
  parameters = block_reduce(parameters, Sum());
  if (thread() == 0) f.squares[blockIdx.x] = {updates, parameters};
}

Decay decay_of(const precis_adafactor_args& a) {
  const double now = std::pow(static_cast<double>(a.step), static_cast<double>(a.decay_rate));
  return {static_cast<float>(1 - now), static_cast<float>(now), a.epsilon1};
}

cudaError_t launch_change(CudaContext& context, const precis_adafactor_args& a,
                          const Squares* squares, int64_t pieces, Scalars* scalars) {
  const Rate rate = {a.learning_rate, a.weight_decay, a.clip_threshold, a.epsilon2,
                     a.scale_parameter != 0};
  const double count = static_cast<double>(rows(a.parameter) * columns(a.parameter));
  return launch("adafactor, change", adafactor_change_kernel, 1, kThreads, 0, context.stream,
                squares, pieces, count, rate, scalars);
}

cudaError_t matrix_step(CudaContext& context, const precis_adafactor_args& a) {
  const int64_t n = rows(a.parameter), k = columns(a.parameter);
  const int64_t stripes = ColumnStripes(n).floats(1, k);
  void* memory = nullptr;
  PRECIS_RETURN_IF_ERROR(
      context.scratch.reserve(sizeof(Scalars) + static_cast<size_t>(n) * sizeof(Squares) +
                                  static_cast<size_t>(stripes + k) * sizeof(float),
                              &memory));
  Factored f;
  f.parameter = matrix<float>(a.parameter);
  f.gradient = matrix<const float>(a.gradient);
  f.rows = static_cast<float*>(a.row.data);
  f.columns = static_cast<float*>(a.column.data);
  f.scalars = static_cast<Scalars*>(memory);
  f.squares = reinterpret_cast<Squares*>(f.scalars + 1);
  f.factors = reinterpret_cast<float*>(f.squares + n);
  f.n = n;
  f.k = static_cast<int>(k);
  f.scale = a.gradient_scale;
  f.decay = decay_of(a);
  const uint32_t blocks = grid_size(ceil_div(n, kWarps), 1 << 20);
  PRECIS_RETURN_IF_ERROR(
      launch("adafactor, rows", adafactor_rows_kernel, blocks, kWarps * 32, 0, context.stream, f));
  PRECIS_RETURN_IF_ERROR(column_sums<1>("adafactor, columns", context.stream, n, k, f.factors + k,
                                        GradientSquare{f}, ColumnMoment{f}));
  PRECIS_RETURN_IF_ERROR(
      launch("adafactor, mean", adafactor_mean_kernel, 1, kThreads, 0, context.stream, f));
  PRECIS_RETURN_IF_ERROR(launch("adafactor, updates", adafactor_updates_kernel, blocks, kWarps * 32,
                                0, context.stream, f));
  PRECIS_RETURN_IF_ERROR(launch_change(context, a, f.squares, n, f.scalars));
  return for_elements("adafactor", context.stream, n, k, ChangeMatrix{f});
}

cudaError_t vector_step(CudaContext& context, const precis_adafactor_args& a) {
  const int64_t n = columns(a.parameter), chunks = ceil_div(n, kChunk);
  void* memory = nullptr;
  PRECIS_RETURN_IF_ERROR(context.scratch.reserve(
      sizeof(Scalars) + static_cast<size_t>(chunks) * sizeof(Squares), &memory));
  Vector f;
  f.parameter = static_cast<float*>(a.parameter.data);
  f.gradient = static_cast<const float*>(a.gradient.data);
  f.moments = static_cast<float*>(a.row.data);
  f.scalars = static_cast<Scalars*>(memory);
  f.squares = reinterpret_cast<Squares*>(f.scalars + 1);
  f.n = n;
  f.scale = a.gradient_scale;
  f.decay = decay_of(a);
  PRECIS_RETURN_IF_ERROR(launch("adafactor, chunks", adafactor_vector_kernel,
                                static_cast<uint32_t>(chunks), kThreads, 0, context.stream, f));
  PRECIS_RETURN_IF_ERROR(launch_change(context, a, f.squares, chunks, f.scalars));
  return for_elements("adafactor", context.stream, 1, n, f);
}

}  // namespace

cudaError_t adafactor_cuda(CudaContext& context, const precis_adafactor_args& a) {
  if (rows(a.parameter) == 0 || columns(a.parameter) == 0) return cudaSuccess;
  return a.parameter.rank == 2 ? matrix_step(context, a) : vector_step(context, a);
}

}  // namespace precis
