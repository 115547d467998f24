// The loop that the CPU kernels of the losses on logits = scale x w' share. The logits are never
// materialized as a whole: the kernel gathers a block of rows, multiplies it by w, overwrites the
// logits with their gradient, and multiplies by w once more. Blocks are as large as kLogitBytes
// allows, because every block reads all of w and, with dw, reads and writes all of dw.
#ifndef PRECIS_OPS_LOGIT_ROWS_H_
#define PRECIS_OPS_LOGIT_ROWS_H_

#include "context.h"
#include "cpu/lanes.h"
#include "cpu/scratch_layout.h"
#include "ops/linear_cross_entropy.h"
#include "ops/matmul_product.h"
#include "ops/weight_gradient.h"

namespace precis {
namespace PRECIS_ISA {

constexpr int64_t kLogitBytes = 16 << 20, kLogitBytesWithWeight = 32 << 20;
constexpr int64_t kMinLogitRows = 16, kMaxLogitRows = 256;
constexpr int64_t kLogitRun = 512;

struct LogitRows {
  precis_tensor x;
  precis_packed_matrix w, w_transposed;
  const int32_t* labels; /* kIgnoredLabel: the row is left out, its dx is 0 */
  float scale;
  precis_tensor dx, dw; /* no data: not wanted */
  float grad_scale;
  precis_tensor reference_x = {}; /* no data: there is no reference */
  precis_packed_matrix reference_w = {};
  float reference_scale = 0;

  bool wants_gradient() const { return dx.data != nullptr || dw.data != nullptr; }
  bool bf16() const { return w.dtype == PRECIS_BFLOAT16; }
};

// Copies row from[r] of x to row r of `to`, for every row of `to`.
static inline void gather_rows(ThreadPool& pool, const precis_tensor& x, const int64_t* from,
                               const precis_tensor& to) {
  const int64_t width = columns(x);
  auto copy = [&](const auto* p, int64_t r) {
    if (to.dtype == PRECIS_BFLOAT16) {
      copy_row(p, width, row<uint16_t>(to, r));
    } else {
      copy_row(p, width, row<float>(to, r));
    }
  };
  parallel_ranges(pool, rows(to), 1 + 16384 / width, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      if (x.dtype == PRECIS_BFLOAT16) {
        copy(row<const uint16_t>(x, from[r]), r);
      } else {
        copy(row<const float>(x, from[r]), r);
      }
    }
  });
}

// Calls finish(m, z, q) on any thread for every row m that is not left out. z holds its logits, and
// q those of the reference, or q is NULL. Where a gradient is wanted, finish overwrites z from the
// front on with the gradient of the logits, in w's dtype; dx and dw are computed from it.
template <class Finish>
static inline void for_logit_rows(CpuContext& context, const LogitRows& a, const Finish& finish) {
  const int64_t m = rows(a.x), width = columns(a.x), tokens = a.w.outputs;
  const bool wants_dx = a.dx.data != nullptr, wants_dw = a.dw.data != nullptr;
  const bool reference = a.reference_x.data != nullptr;
  int64_t counted = 0;
  for (int64_t i = 0; i < m; i++) {
    counted += a.labels[i] != kIgnoredLabel;
    if (a.labels[i] != kIgnoredLabel || !wants_dx) continue;
    __builtin_memset(row<float>(a.dx, i), 0, static_cast<size_t>(width) * 4);
  }
  if (counted == 0) return;
  // The stride is an odd number of cache lines, so that rows do not conflict in one cache set.
  const int64_t stride = ((tokens + 15) / 16 | 1) * 16;
  int64_t most = (wants_dw ? kLogitBytesWithWeight : kLogitBytes) / (stride * (reference ? 8 : 4));
  if (most < kMinLogitRows) most = kMinLogitRows;
  if (most > kMaxLogitRows) most = kMaxLogitRows;
  const int64_t blocks = ceil_div(counted, most), block_rows = ceil_div(counted, blocks);
  ScratchLayout layout;
  const int64_t reference_width = reference ? columns(a.reference_x) : 0;
  const int64_t index_at = layout.add(counted * 8);
  const int64_t x_at = layout.add(block_rows * max(width, reference_width) * 4);
  const int64_t dx_at = layout.add(wants_dx ? block_rows * width * 4 : 0);
  const int64_t logits_at = layout.add(block_rows * stride * 4);
  const int64_t reference_at = layout.add(reference ? block_rows * stride * 4 : 0);
  char* memory = static_cast<char*>(context.outer.reserve(static_cast<size_t>(layout.bytes())));
  int64_t* index = reinterpret_cast<int64_t*>(memory + index_at);
  for (int64_t i = 0, next = 0; i < m; i++) {
    if (a.labels[i] != kIgnoredLabel) index[next++] = i;
  }
  for (int64_t b = 0; b < blocks; b++) {
    // Blocks differ by one row at most.
    const int64_t first = slice_begin(counted, blocks, b);
    const int64_t n = slice_begin(counted, blocks, b + 1) - first;
    const int64_t* from = index + first;
    auto matrix = [&](int64_t at, int64_t columns, int64_t row_stride, int32_t dtype) {
      return precis_tensor{memory + at, {n, columns, 0, 0}, row_stride, 2, dtype};
    };
    auto multiply = [&](const precis_tensor& x, const precis_packed_matrix& w,
                        const precis_tensor& y, float scale) {
      matmul_product(context, {x, w, y, scale, false});
    };
    const precis_tensor logits = matrix(logits_at, tokens, stride, PRECIS_FLOAT32);
    const precis_tensor q = matrix(reference_at, tokens, stride, PRECIS_FLOAT32);
    if (reference) {
      const precis_tensor x = matrix(x_at, reference_width, 0, a.reference_w.dtype);
      gather_rows(context.pool, a.reference_x, from, x);
      multiply(x, a.reference_w, q, a.reference_scale);
    }
    const precis_tensor x = matrix(x_at, width, 0, a.w.dtype);
    gather_rows(context.pool, a.x, from, x);
    multiply(x, a.w, logits, a.scale);
    parallel_ranges(context.pool, n, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        finish(from[r], row<float>(logits, r), reference ? row<const float>(q, r) : nullptr);
      }
    });
    const precis_tensor g = matrix(logits_at, tokens, a.bf16() ? 2 * stride : stride, a.w.dtype);
    if (wants_dx) {
      const precis_tensor dx = matrix(dx_at, width, 0, PRECIS_FLOAT32);
      multiply(g, a.w_transposed, dx, a.grad_scale * a.scale);
      parallel_ranges(context.pool, n, 1 + 16384 / width, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; r++) {
          copy_row(row<const float>(dx, r), width, row<float>(a.dx, from[r]));
        }
      });
    }
    if (wants_dw) {
      weight_gradient_cpu(context, {g, x, a.dw, a.grad_scale * a.scale, a.w.dtype, 1, 0});
    }
  }
}

// Stores a row's element of a float32 vector, if that output is wanted.
static inline void put(const precis_tensor& t, int64_t m, double value) {
  if (t.data != nullptr) static_cast<float*>(t.data)[m] = static_cast<float>(value);
}

static inline float largest_of(const float* z, int64_t n) {
  constexpr int W = Vec::kWidth;
  Vec most = Vec::set1(-__builtin_inff());
  int64_t i = 0;
  for (; i + W <= n; i += W) most = max(most, Vec::load(z + i));
  float largest = most.largest();
  for (; i < n; i++) largest = z[i] > largest ? z[i] : largest;
  return largest;
}

// A row of logits: log p[v] = z[v] - largest - log_sum.
struct LogitSums {
  float largest;
  double sum; /* of exp(z - largest) */
  double log_sum;
  double terms;
};

// Also sums term(i, lanes, d, e), with d = z - largest and e = exp(d). Stores e in keep unless that
// is NULL.
template <class Term>
static inline LogitSums sums_of(const float* z, int64_t n, float* keep, const Term& term) {
  LogitSums sums = {largest_of(z, n), 0, 0, 0};
  const Vec shift = Vec::set1(sums.largest);
  // Short runs are summed in float32, and the runs in double, so that thousands of small terms are
  // not lost in a large one.
  for (int64_t begin = 0; begin < n; begin += kLogitRun) {
    const int64_t end = begin + kLogitRun < n ? begin + kLogitRun : n;
    Vec exponentials = Vec::zero(), terms = Vec::zero();
    each_vector(begin, end, [&](int64_t i, auto lanes) {
      const Vec d = lanes.load(z + i) - shift, e = exp(d);
      exponentials = exponentials + lanes.keep(e);
      terms = terms + lanes.keep(term(i, lanes, d, e));
      if (keep != nullptr) lanes.store(keep + i, e);
    });
    sums.sum += exponentials.sum();
    sums.terms += terms.sum();
  }
  sums.log_sum = __builtin_log(sums.sum);
  return sums;
}

// Overwrites a row's logits with their gradient: z[i] = f(i, lanes, z[i]), except at_label for the
// label.
template <class F>
static inline void put_gradients(const LogitRows& a, float* z, int32_t label, double at_label,
                                 const F& f) {
  auto put_as = [&](auto* g) {
    each_vector(0, a.w.outputs,
                [&](int64_t i, auto lanes) { lanes.store(g + i, f(i, lanes, lanes.load(z + i))); });
    Vec::set1(static_cast<float>(at_label)).store(g + label, 1);
  };
  a.bf16() ? put_as(reinterpret_cast<uint16_t*>(z)) : put_as(z);
}
// Likewise where the gradient depends on the logit alone: z[i] = f(z[i]).
template <class F>
static inline void put_gradient(const LogitRows& a, float* z, int32_t label, double at_label,
                                const F& f) {
  put_gradients(a, z, label, at_label, [&](int64_t, auto, Vec v) { return f(v); });
}

}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_OPS_LOGIT_ROWS_H_
