// A row is processed in blocks of a fixed size, each with its own maximum and sum, which are
// combined in order. Few rows are partitioned over the threads by block. That changes which thread
// computes a block but not the result, so a row is bitwise identical for any number of threads and
// among any other rows.

#include "context.h"
#include "cpu/vec.h"
#include "error.h"
#include "ops/row_errors.h"
#include "ops/softmax.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr int64_t kBlock = 4096;  // 16 KiB, read three times, the last two from L1
constexpr int64_t kRun = 512;

struct Partial {
  float largest;  // -inf if all values are; +inf or NaN if any value is
  double sum;     // of exp(x - largest)
};

// Reduces n >= 1 values. Stores exp(x - largest) to y unless that is nullptr.
Partial reduce_block(const float* x, float* y, int64_t n) {
  constexpr int W = Vec::kWidth;
  const int left = static_cast<int>(n % W);
  const int64_t whole = n - left;
  Vec m0 = Vec::set1(-__builtin_inff()), m1 = m0;
  bool nan = false;
  int64_t i = 0;
  for (; i + 2 * W <= whole; i += 2 * W) {
    const Vec a = Vec::load(x + i), b = Vec::load(x + i + W);
    m0 = max(m0, a);
    m1 = max(m1, b);
    nan |= any_nan(a, b);
  }
  for (; i < whole; i += W) {
    const Vec a = Vec::load(x + i);
    m0 = max(m0, a);
    nan |= any_nan(a, a);
  }
  float largest = max(m0, m1).largest();
  for (; i < n; i++) {
    largest = x[i] > largest ? x[i] : largest;
    nan |= x[i] != x[i];
  }
  if (nan) return {__builtin_nanf(""), 0};
  if (largest == __builtin_inff()) return {largest, 0};
  // Where a block holds only -inf, x - largest would be NaN.
  const Vec shift = Vec::set1(largest == -__builtin_inff() ? 0.0f : largest);
  // Short runs are summed in float32, and the runs in double, so that thousands of small terms are
  // not lost in a large one.
  double sum = 0;
  for (i = 0; i < whole;) {
    const int64_t end = i + kRun < whole ? i + kRun : whole;
    Vec s0 = Vec::zero(), s1 = s0;
    for (; i + 2 * W <= end; i += 2 * W) {
      const Vec e0 = exp(Vec::load(x + i) - shift), e1 = exp(Vec::load(x + i + W) - shift);
      if (y != nullptr) e0.store(y + i), e1.store(y + i + W);
      s0 = s0 + e0;
      s1 = s1 + e1;
    }
    if (i < end) {
      const Vec e = exp(Vec::load(x + i) - shift);
      if (y != nullptr) e.store(y + i);
      s0 = s0 + e;
      i += W;
    }
    sum += (s0 + s1).sum();
  }
  if (left > 0) {
    float tail[W];
    const Vec e = exp(Vec::load(x + i, left) - shift);
    e.store(tail);
    for (int j = 0; j < left; j++) sum += tail[j];
    if (y != nullptr) e.store(y + i, left);
  }
  return {largest, sum};
}

// Combines the blocks of a row. Every thread that calls it gets the same values.
Partial combine(const Partial* partials, int64_t blocks) {
  float largest = partials[0].largest;
  for (int64_t b = 0; b < blocks; b++) {
    if (partials[b].largest != partials[b].largest) return partials[b];
    if (partials[b].largest > largest) largest = partials[b].largest;
  }
  if (__builtin_isinf(largest)) return {largest, 0};
  double sum = 0;
  for (int64_t b = 0; b < blocks; b++) {
    sum += partials[b].sum * __builtin_exp(double{partials[b].largest} - largest);
  }
  return {largest, sum};
}

void finish_block(const float* x, float* y, int64_t n, bool logarithm, Partial block, Partial all) {
  constexpr int W = Vec::kWidth;
  const int left = static_cast<int>(n % W);
  int64_t i = 0;
  if (logarithm) {
    const Vec largest = Vec::set1(all.largest),
              log_sum = Vec::set1(static_cast<float>(__builtin_log(all.sum)));
    for (; i + W <= n; i += W) (Vec::load(x + i) - largest - log_sum).store(y + i);
    if (left > 0) (Vec::load(x + i, left) - largest - log_sum).store(y + i, left);
  } else {
    const Vec scale =
        Vec::set1(static_cast<float>(__builtin_exp(double{block.largest} - all.largest) / all.sum));
    for (; i + W <= n; i += W) (Vec::load(y + i) * scale).store(y + i);
    if (left > 0) (Vec::load(y + i, left) * scale).store(y + i, left);
  }
}

}  // namespace

void softmax_cpu(CpuContext& context, const precis_softmax_args& a) {
  const int64_t m = rows(a.x), n = columns(a.x), blocks = (n + kBlock - 1) / kBlock;
  Partial* partials = static_cast<Partial*>(
      context.scratch.reserve(static_cast<size_t>(m * blocks) * sizeof(Partial)));
  const bool logarithm = a.logarithm != 0;
  FirstRow refused;
  auto length = [&](int64_t b) { return b + 1 < blocks ? kBlock : n - b * kBlock; };
  auto reduce = [&](int64_t unit) {
    const int64_t r = unit / blocks, b = unit % blocks;
    const float* x = row<const float>(a.x, r) + b * kBlock;
    float* y = logarithm ? nullptr : row<float>(a.y, r) + b * kBlock;
    partials[unit] = reduce_block(x, y, length(b));
  };
  auto finish = [&](int64_t unit) {
    const int64_t r = unit / blocks, b = unit % blocks;
    const Partial all = combine(partials + r * blocks, blocks);
    if (!__builtin_isfinite(all.largest)) {
      if (b == 0) refused.note(r, problem_of(all.largest));
      return;
    }
    finish_block(row<const float>(a.x, r) + b * kBlock, row<float>(a.y, r) + b * kBlock, length(b),
                 logarithm, partials[unit], all);
  };
  if (m >= context.pool.threads() || m * n <= 2 * kBlock) {
    const int64_t grain = 1 + 2 * kBlock / n;
    parallel_ranges(context.pool, m, grain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        for (int64_t u = r * blocks; u < (r + 1) * blocks; u++) reduce(u);
        for (int64_t u = r * blocks; u < (r + 1) * blocks; u++) finish(u);
      }
    });
  } else {
    parallel_ranges(context.pool, m * blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end; u++) reduce(u);
    });
    parallel_ranges(context.pool, m * blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end; u++) finish(u);
    });
  }
  refused.check("softmax", "x");
}

}  // namespace PRECIS_ISA
}  // namespace precis
