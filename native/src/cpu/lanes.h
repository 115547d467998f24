// Vector loops over contiguous elements. A body is written once, for lanes that are either a whole
// vector or the first few lanes of one:
//
//   each_vector(0, n, [&](int64_t i, auto lanes) {
//     lanes.store(y + i, lanes.load(x + i) * scale);
//   });
#ifndef PRECIS_CPU_LANES_H_
#define PRECIS_CPU_LANES_H_

#include "cpu/thread_pool.h"
#include "cpu/vec.h"

namespace precis {
namespace PRECIS_ISA {

struct AllLanes {
  template <class T>
  inline Vec load(const T* p) const {
    return Vec::load(p);
  }
  template <class T>
  inline void store(T* p, Vec v) const {
    v.store(p);
  }
  inline Vec keep(Vec v) const { return v; }
};

struct FirstLanes {
  int count;
  template <class T>
  inline Vec load(const T* p) const {
    return Vec::load(p, count);
  }
  template <class T>
  inline void store(T* p, Vec v) const {
    v.store(p, count);
  }
  // Zeroes the other lanes, as load does.
  inline Vec keep(Vec v) const {
    float lanes[Vec::kWidth];
    v.store(lanes);
    return Vec::load(lanes, count);
  }
};

// Calls body(i, lanes) for the elements [begin, end).
template <class Body>
static inline void each_vector(int64_t begin, int64_t end, const Body& body) {
  int64_t i = begin;
  for (; i + Vec::kWidth <= end; i += Vec::kWidth) body(i, AllLanes{});
  if (i < end) body(i, FirstLanes{static_cast<int>(end - i)});
}

// y = x, of n elements, each float32 or bfloat16.
template <class X, class Y>
static inline void copy_row(const X* x, int64_t n, Y* y) {
  each_vector(0, n, [&](int64_t i, auto lanes) { lanes.store(y + i, lanes.load(x + i)); });
}

// Calls body(i, lanes, sums) for the elements [0, n); it adds to sums[0 .. count), whose totals are
// the result. Four sets of sums hide the latency of the adds.
template <int count, class Body>
static inline void sum_vectors(int64_t n, float (&totals)[count], const Body& body) {
  constexpr int W = Vec::kWidth;
  Vec sums[4][count];
  for (auto& set : sums) {
    for (Vec& s : set) s = Vec::zero();
  }
  int64_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W) {
    for (int j = 0; j < 4; j++) body(i + j * W, AllLanes{}, sums[j]);
  }
  for (; i + W <= n; i += W) body(i, AllLanes{}, sums[0]);
  if (i < n) body(i, FirstLanes{static_cast<int>(n - i)}, sums[0]);
  for (int k = 0; k < count; k++) {
    totals[k] = ((sums[0][k] + sums[1][k]) + (sums[2][k] + sums[3][k])).sum();
  }
}

// Partitions m rows of n elements into pieces of rows and calls f(row, begin, end) for each, on all
// threads.
template <class F>
static inline void parallel_pieces(ThreadPool& pool, int64_t m, int64_t n, const F& f) {
  constexpr int64_t kPiece = 16384;
  if (n == 0) return;
  const int64_t pieces = (n + kPiece - 1) / kPiece, grain = pieces > 1 ? 1 : 1 + kPiece / n;
  parallel_ranges(pool, m * pieces, grain, [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; unit++) {
      const int64_t r = unit / pieces, from = unit % pieces * kPiece;
      f(r, from, from + kPiece < n ? from + kPiece : n);
    }
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_CPU_LANES_H_
