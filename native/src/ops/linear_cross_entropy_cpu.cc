// A block of rows is gathered, multiplied with w, turned from logits into their gradient where it
// lies, and multiplied with w once more. The block is as large as kLogitBytes allow, because every
// block reads all of w, and with dw reads and writes all of that.

#include "context.h"
#include "cpu/vec.h"
#include "ops/linear_cross_entropy.h"
#include "ops/matmul_product.h"
#include "ops/weight_gradient.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr int W = Vec::kWidth;
constexpr int64_t kLogitBytes = 16 << 20, kLogitBytesWithWeight = 32 << 20;
constexpr int64_t kMinRows = 16, kMaxRows = 256;
constexpr int64_t kRun = 512;

// Row i of count, when n things are split into count parts that differ by one at most.
int64_t split(int64_t n, int64_t count, int64_t i) { return n * i / count; }

template <class X, class Y>
void copy_row(const X* x, int64_t n, Y* y) {
  int64_t i = 0;
  for (; i + W <= n; i += W) Vec::load(x + i).store(y + i);
  if (i < n) Vec::load(x + i, static_cast<int>(n - i)).store(y + i, static_cast<int>(n - i));
}

// f(i, lanes) for all of a row's n elements, by vectors.
template <class F>
void for_vectors(int64_t begin, int64_t end, const F& f) {
  int64_t i = begin;
  for (; i + W <= end; i += W) f(i, W);
  if (i < end) f(i, static_cast<int>(end - i));
}

Vec load_some(const float* p, int n) { return n == W ? Vec::load(p) : Vec::load(p, n); }
template <class T>
void store_some(Vec v, T* p, int n) {
  n == W ? v.store(p) : v.store(p, n);
}

float largest_of(const float* z, int64_t n) {
  Vec most = Vec::set1(-__builtin_inff());
  int64_t i = 0;
  for (; i + W <= n; i += W) most = max(most, Vec::load(z + i));
  float largest = most.largest();
  for (; i < n; i++) largest = z[i] > largest ? z[i] : largest;
  return largest;
}

// The loss of one row of logits. With a gradient, T, the logits give way to it, from the front on.
template <class T>
float finish_row(float* z, int64_t n, int32_t label, float smoothing, bool gradient) {
  const float largest = largest_of(z, n), of_label = z[label] - largest;
  const Vec shift = Vec::set1(largest);
  // Short runs of float32, summed in double: thousands of small terms do not drown in a large one.
  double sum = 0, sum_shifted = 0;
  for (int64_t begin = 0; begin < n; begin += kRun) {
    const int64_t end = begin + kRun < n ? begin + kRun : n;
    Vec exponentials = Vec::zero(), shifted = Vec::zero();
    for_vectors(begin, end, [&](int64_t i, int lanes) {
      const Vec d = load_some(z + i, lanes) - shift;
      Vec e = exp(d);
      if (lanes < W) {
        // The lanes that are not there.
        float kept[W] = {}, all[W] = {};
        e.store(kept, lanes);
        d.store(all, lanes);
        e = Vec::load(kept);
        shifted = shifted + Vec::load(all);
      } else {
        shifted = shifted + d;
      }
      exponentials = exponentials + e;
      if (gradient) store_some(e, z + i, lanes);
    });
    sum += exponentials.sum();
    sum_shifted += shifted.sum();
  }
  const double log_sum = __builtin_log(sum);
  const double share = smoothing / static_cast<double>(n);
  double loss = -(1.0 - smoothing) * (of_label - log_sum);
  if (smoothing > 0) loss -= share * sum_shifted - smoothing * log_sum;
  if (gradient) {
    const double p = z[label] / sum;
    const Vec inverse = Vec::set1(static_cast<float>(1 / sum));
    const Vec offset = Vec::set1(static_cast<float>(-share));
    T* g = reinterpret_cast<T*>(z);
    for_vectors(0, n, [&](int64_t i, int lanes) {
      store_some(fma(load_some(z + i, lanes), inverse, offset), g + i, lanes);
    });
    const Vec at_label = Vec::set1(static_cast<float>(p - (1.0 - smoothing) - share));
    at_label.store(g + label, 1);
  }
  return static_cast<float>(loss);
}

}  // namespace

void linear_cross_entropy_cpu(CpuContext& context, const precis_linear_cross_entropy_args& a) {
  const int64_t m = rows(a.x), width = columns(a.x), tokens = a.w.outputs;
  const int32_t* labels = static_cast<const int32_t*>(a.labels.data);
  float* losses = static_cast<float*>(a.losses.data);
  const bool bf16 = a.w.dtype == PRECIS_BFLOAT16;
  const bool wants_dx = a.dx.data != nullptr, wants_dw = a.dw.data != nullptr;
  int64_t counted = 0;
  for (int64_t i = 0; i < m; i++) {
    counted += labels[i] != kIgnoredLabel;
    if (labels[i] != kIgnoredLabel) continue;
    losses[i] = 0;
    if (wants_dx) __builtin_memset(row<float>(a.dx, i), 0, static_cast<size_t>(width) * 4);
  }
  if (counted == 0) return;
  // An odd number of cache lines: rows do not compete for one set of the caches.
  const int64_t stride = ((tokens + 15) / 16 | 1) * 16;
  int64_t most = (wants_dw ? kLogitBytesWithWeight : kLogitBytes) / (stride * 4);
  if (most < kMinRows) most = kMinRows;
  if (most > kMaxRows) most = kMaxRows;
  const int64_t blocks = (counted + most - 1) / most;
  const int64_t block_rows = (counted + blocks - 1) / blocks;
  int64_t bytes = 0;
  auto claim = [&](int64_t size) {
    const int64_t at = bytes;
    bytes += (size + 63) / 64 * 64;
    return at;
  };
  const int64_t index_at = claim(counted * 8), x_at = claim(block_rows * width * 4);
  const int64_t dx_at = claim(wants_dx ? block_rows * width * 4 : 0);
  const int64_t logits_at = claim(block_rows * stride * 4);
  char* memory = static_cast<char*>(context.outer.reserve(static_cast<size_t>(bytes)));
  int64_t* index = reinterpret_cast<int64_t*>(memory + index_at);
  for (int64_t i = 0, next = 0; i < m; i++) {
    if (labels[i] != kIgnoredLabel) index[next++] = i;
  }
  const float grad_scale = a.grad_scale * a.scale;
  for (int64_t b = 0; b < blocks; b++) {
    const int64_t first = split(counted, blocks, b), n = split(counted, blocks, b + 1) - first;
    const int64_t* from = index + first;
    auto matrix = [&](int64_t at, int64_t columns, int64_t row_stride, int32_t dtype) {
      return precis_tensor{memory + at, {n, columns, 0, 0}, row_stride, 2, dtype};
    };
    const precis_tensor x = matrix(x_at, width, 0, a.w.dtype);
    const precis_tensor logits = matrix(logits_at, tokens, stride, PRECIS_FLOAT32);
    const precis_tensor g = matrix(logits_at, tokens, bf16 ? 2 * stride : stride, a.w.dtype);
    const precis_tensor dx = matrix(dx_at, width, 0, PRECIS_FLOAT32);
    parallel_ranges(context.pool, n, 1 + 16384 / width, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        if (a.x.dtype == PRECIS_BFLOAT16) {
          const uint16_t* p = row<const uint16_t>(a.x, from[r]);
          bf16 ? copy_row(p, width, row<uint16_t>(x, r)) : copy_row(p, width, row<float>(x, r));
        } else {
          const float* p = row<const float>(a.x, from[r]);
          bf16 ? copy_row(p, width, row<uint16_t>(x, r)) : copy_row(p, width, row<float>(x, r));
        }
      }
    });
    matmul_product(context, {x, a.w, logits, a.scale, false, nullptr, nullptr, nullptr, 0});
    parallel_ranges(context.pool, n, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        float* z = row<float>(logits, r);
        const int32_t label = labels[from[r]];
        const bool gradient = wants_dx || wants_dw;
        losses[from[r]] = bf16 ? finish_row<uint16_t>(z, tokens, label, a.label_smoothing, gradient)
                               : finish_row<float>(z, tokens, label, a.label_smoothing, gradient);
      }
    });
    if (wants_dx) {
      matmul_product(context,
                     {g, a.w_transposed, dx, grad_scale, false, nullptr, nullptr, nullptr, 0});
      parallel_ranges(context.pool, n, 1 + 16384 / width, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; r++) {
          copy_row(row<const float>(dx, r), width, row<float>(a.dx, from[r]));
        }
      });
    }
    if (wants_dw) {
      weight_gradient_cpu(context, {g, x, a.dw, grad_scale, a.w.dtype, 1, 0});
    }
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis
