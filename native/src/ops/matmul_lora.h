// The low-rank terms of matmul: x A' . s is computed first, and its product with B continues in the
// sums of x W'.
#ifndef PRECIS_OPS_MATMUL_LORA_H_
#define PRECIS_OPS_MATMUL_LORA_H_

#include "cpu/scratch_layout.h"
#include "cpu/thread_pool.h"
#include "ops/matmul_inputs.h"
#include "ops/matmul_product.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

// With kManyRows rows or more, x A' is computed by blocks of rows: two vectors of ranks times
// kTallRows rows in registers, kLowUnits units at a time, so that A stays in L1 for all rows of a
// block.
constexpr int64_t kManyRows = 64, kLowRowBlock = 96, kLowUnits = 64;
#if defined(__AVX512F__)
constexpr int kTallRows = 12;
#else
constexpr int kTallRows = kMaxRows;
#endif

// s x A' of one segment, prepared as input to B. The first rank is moved down to the start of a
// unit; the ranks that this adds are zero.
struct SegmentInputs {
  int64_t first_unit;
  int64_t units;
  int64_t stride;
  char* data;
  int64_t first;  // the row at data
  char* row(int64_t m) const { return data + (m - first) * stride; }
};

template <class L>
SegmentInputs segment_layout(const precis_lora_segment& s) {
  SegmentInputs i;
  i.first_unit = s.rank_begin / L::kInputs;
  i.units = ceil_div(s.rank_end, L::kInputs) - i.first_unit;
  if (s.rank_end <= s.rank_begin) i.units = 0;
  i.stride = round_up(i.units * L::kXBytes, 64) + 64;
  i.data = nullptr;
  i.first = 0;
  return i;
}

// Copies ranks [first, first + count) of one row, out of acc, into the segments that use them.
template <class L>
void put_ranks(const LowRankWeights& low, const SegmentInputs* segments, const float* acc,
               int64_t m, int64_t first, int64_t count) {
  for (int i = 0; i < low.segment_count; i++) {
    const precis_lora_segment& s = low.segments[i];
    const SegmentInputs& in = segments[i];
    constexpr int64_t kBytes = L::kXBytes / L::kInputs;
    char* to = in.row(m) + (first - in.first_unit * L::kInputs) * kBytes;
    const Vec scaling = Vec::set1(s.scaling);
    for (int64_t k = 0; k < count; k += W) {
      const int64_t rank = first + k;
      if (rank + W <= s.rank_begin || rank >= s.rank_end) continue;
      if (rank >= s.rank_begin && rank + W <= s.rank_end) {
        put<L>(Vec::load(acc + k) * scaling, to + k * kBytes);
        continue;
      }
      alignas(64) char whole[W * kBytes];
      put<L>(Vec::load(acc + k) * scaling, whole);
      for (int64_t j = 0; j < W; j++) {
        if (rank + j < s.rank_begin || rank + j >= s.rank_end) continue;
        __builtin_memcpy(to + (k + j) * kBytes, whole + j * kBytes, kBytes);
      }
    }
  }
}

// Writes ranks [first, first + count) of one row of down, out of acc.
void store_down(const LowRankWeights& low, const precis_tensor& down, const float* acc, int64_t m,
                int64_t first, int64_t count) {
  float* to = row<float>(down, m) + first;
  for (int64_t k = 0; k < count; k += W) {
    const int n = static_cast<int>(min(count - k, W));
    const int64_t rank = first + k;
    bool whole = false;
    for (int i = 0; i < low.segment_count && !whole; i++) {
      const precis_lora_segment& s = low.segments[i];
      whole = n == W && s.rank_begin <= rank && s.rank_end >= rank + W;
      if (whole) (Vec::load(acc + k) * Vec::set1(s.scaling)).store(to + k);
    }
    for (int64_t j = k; j < k + n && !whole; j++) {
      to[j] = 0;
      for (int i = 0; i < low.segment_count; i++) {
        const precis_lora_segment& s = low.segments[i];
        if (first + j >= s.rank_begin && first + j < s.rank_end) to[j] = acc[j] * s.scaling;
      }
    }
  }
}

// Zeroes the ranks that pad the units of a segment, in one row.
template <class L>
void zero_padding(const precis_lora_segment& s, const SegmentInputs& in, int64_t m) {
  if constexpr (L::kInputs == 2) {
    constexpr int64_t kBytes = L::kXBytes / L::kInputs;
    char* to = in.row(m);
    if (s.rank_begin % 2 != 0) __builtin_memset(to, 0, kBytes);
    if (s.rank_end % 2 != 0) __builtin_memset(to + (2 * in.units - 1) * kBytes, 0, kBytes);
  }
}

enum class Overlap { kNone, kPart, kWhole };

// Returns how much of a tile's outputs a segment covers; there are as many outputs in all.
Overlap overlap(int64_t outputs, const precis_lora_segment& s, int64_t tile) {
  const int64_t begin = tile * kTileOutputs, end = min(begin + kTileOutputs, outputs);
  if (s.rank_end <= s.rank_begin || s.output_end <= begin || s.output_begin >= end) {
    return Overlap::kNone;
  }
  return s.output_begin <= begin && s.output_end >= end ? Overlap::kWhole : Overlap::kPart;
}

// Returns the product (s x A') B' of one segment, for rows from m on and one tile.
Term segment_term(const precis_packed_matrix& b, const SegmentInputs& in, int64_t tile, int64_t m) {
  const PackedLayout layout = packed_layout(b.outputs, b.inputs, b.dtype);
  return {
      in.row(m), in.stride,
      static_cast<const uint32_t*>(b.data) + (tile * layout.units + in.first_unit) * kTileOutputs,
      in.units};
}

// Adds a segment to the sums of the outputs that it covers.
template <class L>
void add_segment(const precis_packed_matrix& b, const precis_lora_segment& s,
                 const SegmentInputs& in, int64_t tile, int64_t m, int rows, uint32_t* acc) {
  const Overlap has = overlap(b.outputs, s, tile);
  if (has == Overlap::kNone) return;
  const Term term = segment_term(b, in, tile, m);
  if (has == Overlap::kWhole) return multiply_rows<L>(rows, &term, 1, true, acc);
  alignas(64) uint32_t sums[kMaxRows * kTileOutputs];
  __builtin_memcpy(sums, acc, static_cast<size_t>(rows * kTileOutputs * 4));
  multiply_rows<L>(rows, &term, 1, true, sums);
  const int64_t n = tile * kTileOutputs;
  const int64_t begin = s.output_begin > n ? s.output_begin - n : 0;
  const int64_t end = min(s.output_end - n, kTileOutputs);
  for (int r = 0; r < rows; r++) {
    __builtin_memcpy(acc + r * kTileOutputs + begin, sums + r * kTileOutputs + begin,
                     static_cast<size_t>((end - begin) * 4));
  }
}

// The low-rank part of a product, for rows [begin, end): x A' . s, segment by segment.
template <class L>
class LowRank {
 public:
  LowRank(const LowRankWeights& low, int64_t begin, int64_t end, const precis_tensor& down = {})
      : low_(low), begin_(begin), end_(end), down_(down) {}

  bool any() const { return low_.segment_count > 0; }

  // Addresses of the segments' inputs to B.
  struct Segments {
    SegmentInputs of[PRECIS_MAX_LORA_SEGMENTS];
    int64_t at[PRECIS_MAX_LORA_SEGMENTS];  // in scratch
  };
  // Reserves memory for count rows.
  Segments layout(ScratchLayout& scratch, int64_t count) const {
    Segments low;
    for (int i = 0; i < low_.segment_count; i++) {
      low.of[i] = segment_layout<L>(low_.segments[i]);
      // Whole vectors are written, perhaps from the middle of the last unit.
      low.at[i] = scratch.add(count * low.of[i].stride + 64);
    }
    return low;
  }
  // Assigns the memory; the first row is row first.
  void place(Segments& low, char* memory, int64_t first) const {
    for (int i = 0; i < low_.segment_count; i++) {
      low.of[i].data = memory + low.at[i];
      low.of[i].first = first;
    }
  }

  // The parts of x A' . s that threads share: groups of rows and pieces of ranks, which are whole
  // tiles, but two vectors where there are few groups, and the remaining ranks.
  int64_t items(int threads) const {
    return any() ? groups() * ceil_div(low_.a->outputs, piece(threads)) : 0;
  }
  // Computes one of them.
  void project(int threads, int64_t item, const Inputs& x, const Segments& low,
               uint32_t* acc) const {
    const int64_t m = end_ - begin_, rank = item / groups() * piece(threads);
    const int64_t group = item % groups(), ranks = min(piece(threads), low_.a->outputs - rank);
    const int64_t first = begin_ + slice_begin(m, groups(), group),
                  end = begin_ + slice_begin(m, groups(), group + 1);
    project_group(x, first, static_cast<int>(end - first), rank, ranks, acc);
    put_projected(low, first, end, rank, ranks, down_.data != nullptr, acc);
  }

  // Returns the number of vectors of ranks, and A from one of them on.
  int64_t vectors() const { return any() ? ceil_div(low_.a->outputs, W) : 0; }
  Term vector_term(const Inputs& x, int64_t m, int64_t vector) const {
    return {x.row(m), x.stride, weights(vector * W), units()};
  }
  // Moves one vector of ranks of one row from acc to where it is used.
  void put_vector(const Segments& low, int64_t m, int64_t vector, const uint32_t* acc) const {
    const int64_t rank = vector * W;
    put_projected(low, m, m + 1, rank, min(W, low_.a->outputs - rank), false, acc);
  }

  // Prefetches what add reads of B for one tile.
  void prefetch(const Segments& low, int64_t tile) const {
    for (int i = 0; i < low_.segment_count; i++) {
      if (overlap(low_.b->outputs, low_.segments[i], tile) == Overlap::kNone) continue;
      const Term term = segment_term(*low_.b, low.of[i], tile, low.of[i].first);
      for (int64_t u = 0; u < term.units * kTileOutputs; u += 16) {
        __builtin_prefetch(term.w + u, 0, 2);
      }
    }
  }

  // Adds the terms to the sums of some of the rows and one tile, from a segment on.
  void add(const Segments& low, int segment, int64_t tile, int64_t m, int rows,
           uint32_t* acc) const {
    const int64_t first = m > begin_ ? m : begin_;
    const int count = static_cast<int>(min(m + rows, end_) - first);
    if (count <= 0) return;
    for (int i = segment; i < low_.segment_count; i++) {
      add_segment<L>(*low_.b, low_.segments[i], low.of[i], tile, first, count,
                     acc + (first - m) * kTileOutputs);
    }
  }

  // Computes x A' . s of rows [m0, m1) by blocks of rows and pieces of two vectors of ranks.
  void project_rows(const Inputs& x, const Segments& low, int64_t m0, int64_t m1, bool down,
                    const uint8_t* blank, uint32_t* acc) const {
    const int64_t blocks = ceil_div(m1 - m0, kLowRowBlock);
    for (int64_t b = 0; b < blocks; b++) {
      const int64_t first = m0 + slice_begin(m1 - m0, blocks, b),
                    end = m0 + slice_begin(m1 - m0, blocks, b + 1);
      for (int64_t rank = 0; rank < low_.a->outputs; rank += kNarrow) {
        project_block(x, first, end - first, rank, blank + rank / kNarrow * chunks(), acc);
        put_projected(low, first, end, rank, min(kNarrow, low_.a->outputs - rank),
                      down && down_.data != nullptr, acc);
      }
    }
  }

  // Finds the chunks of units of a piece of ranks that hold only zeros; they are skipped. Where
  // several adapters are stacked in one A, as in the gradient with respect to x, most chunks do.
  void find_blanks(uint8_t* blank) const {
    for (int64_t piece = 0; piece < pieces(); piece++) {
      const uint32_t* w = weights(piece * kNarrow);
      for (int64_t u = 0; u < units(); u += kLowUnits) {
        uint32_t any = 0;
        for (int64_t i = u; i < min(u + kLowUnits, units()); i++) {
          for (int64_t n = 0; n < kNarrow; n++) any |= w[i * kTileOutputs + n];
        }
        blank[piece * chunks() + u / kLowUnits] = any == 0;
      }
    }
  }
  // Returns the number of bytes that find_blanks fills.
  int64_t blank_bytes() const { return pieces() * chunks(); }

 private:
  static constexpr int64_t kNarrow = 2 * W;

  int64_t groups() const { return ceil_div(end_ - begin_, kMaxRows); }
  int64_t piece(int threads) const { return groups() < threads ? kNarrow : kTileOutputs; }
  int64_t units() const { return ceil_div(low_.a->inputs, L::kInputs); }
  int64_t pieces() const { return ceil_div(low_.a->outputs, kNarrow); }
  int64_t chunks() const { return ceil_div(units(), kLowUnits); }

  // Moves ranks [rank, rank + ranks) of rows [first, end) from acc to where they are used.
  void put_projected(const Segments& low, int64_t first, int64_t end, int64_t rank, int64_t ranks,
                     bool down, const uint32_t* acc) const {
    for (int64_t r = first; r < end; r++) {
      const float* sums = reinterpret_cast<const float*>(acc + (r - first) * kTileOutputs);
      put_ranks<L>(low_, low.of, sums, r, rank, ranks);
      for (int i = 0; rank == 0 && i < low_.segment_count; i++) {
        zero_padding<L>(low_.segments[i], low.of[i], r);
      }
      if (down) store_down(low_, down_, sums, r, rank, ranks);
    }
  }

  // Returns A from this rank on.
  const uint32_t* weights(int64_t rank) const {
    const PackedLayout layout = packed_layout(low_.a->outputs, low_.a->inputs, low_.a->dtype);
    return static_cast<const uint32_t*>(low_.a->data) +
           rank / kTileOutputs * layout.units * kTileOutputs + rank % kTileOutputs;
  }

  void project_group(const Inputs& x, int64_t first, int rows, int64_t rank, int64_t ranks,
                     uint32_t* acc) const {
    const Term term = {x.row(first), x.stride, weights(rank), units()};
    if (ranks > kNarrow) return multiply_rows<L>(rows, &term, 1, false, acc);
    with_rows(rows, [&]<int R>() {
      // It prefetches half of the cache lines: the hardware prefetcher alone is late.
      multiply_tile<L, R, 2, 2, kTileOutputs * kUnitBytes>(
          &term, 1, kNarrow, false, reinterpret_cast<const char*>(term.w + 16 * kTileOutputs), acc);
    });
  }

  void project_block(const Inputs& x, int64_t first, int64_t rows, int64_t rank,
                     const uint8_t* blank, uint32_t* acc) const {
    const int64_t units = this->units();
    bool resume = false;
    for (int64_t u = 0; u < units; u += kLowUnits) {
      if (blank[u / kLowUnits]) continue;
      const int64_t count = min(kLowUnits, units - u);
      for (int64_t r = 0; r < rows;) {
        const char* data = x.row(first + r) + u * L::kXBytes;
        const Term term = {data, x.stride, weights(rank) + u * kTileOutputs, count};
        uint32_t* sums = acc + r * kTileOutputs;
        const int some = static_cast<int>(min(rows - r, kTallRows));
        if (u + count < units && !blank[u / kLowUnits + 1]) {
          for (int i = 0; i < some; i++) {
            for (int64_t b = 0; b < kLowUnits * L::kXBytes; b += 64) {
              __builtin_prefetch(data + i * x.stride + kLowUnits * L::kXBytes + b);
            }
          }
        }
        if (some == kTallRows) {
          multiply_tile<L, kTallRows, 2>(&term, 1, kNarrow, resume, nullptr, sums);
          r += kTallRows;
        } else {
          const int few = some < kMaxRows ? some : kMaxRows;
          with_rows(few, [&]<int R>() {
            multiply_tile<L, R, 2>(&term, 1, kNarrow, resume, nullptr, sums);
          });
          r += few;
        }
      }
      resume = true;
    }
    if (!resume) __builtin_memset(acc, 0, static_cast<size_t>(rows * kTileOutputs * 4));
  }

  const LowRankWeights low_;
  const int64_t begin_, end_;
  const precis_tensor down_;
};

// sums[i][0, W) = x W' for the first W outputs of each of N terms, which have one row and the same
// number of units. A sum is a chain of additions, and only other chains hide their latency. kAhead
// units ahead the cache lines of the terms, and then of the terms that follow, are prefetched:
// such short matrices end before the hardware's own prefetching has begun.
constexpr int64_t kAhead = 32;
template <class D, int N>
void multiply_vectors(const Term* terms, const Term* next, uint32_t* const* sums) {
  using Acc = typename D::Acc;
  Acc a[N];
  const char* x[N];
  const uint32_t* w[N];
  for (int i = 0; i < N; i++) {
    a[i] = Acc::zero();
    x[i] = terms[i].x;
    w[i] = terms[i].w;
  }
  const int64_t units = terms[0].units;
  const auto multiply = [&](int64_t from, int64_t to, const auto& ahead) {
    for (int64_t u = from; u < to; u++) {
      for (int i = 0; i < N; i++) {
        __builtin_prefetch(ahead(i) + u * kTileOutputs);
        const auto part = [&]<int P>() __attribute__((always_inline)) {
          a[i] = D::dot(a[i], D::template input<P>(x[i] + u * D::kXBytes),
                        D::template weights<P>(w[i] + u * kTileOutputs));
        };
        part.template operator()<0>();
        if constexpr (D::kParts == 2) part.template operator()<1>();
      }
    }
  };
  const int64_t last = max(units - kAhead, 0);
  multiply(0, last, [&](int i) { return w[i] + kAhead * kTileOutputs; });
  multiply(last, units, [&](int i) { return next[i].w - last * kTileOutputs; });
  for (int i = 0; i < N; i++) a[i].store(reinterpret_cast<float*>(sums[i]));
}

// The low-rank part of a product whose rows have adapters of their own.
template <class L>
class RowAdapters {
 public:
  using Segments = typename LowRank<L>::Segments;

  RowAdapters(const precis_lora_rows* adapters, int count) : adapters_(adapters), count_(count) {}

  bool any() const { return count_ > 0; }

  // Reserves memory; segments has an element for each of the adapters.
  void layout(ScratchLayout& scratch, Segments* segments) {
    segments_ = segments;
    for (int i = 0; i < count_; i++) segments_[i] = low_rank(i).layout(scratch, row_count(i));
  }
  void place(char* memory) {
    for (int i = 0; i < count_; i++) {
      low_rank(i).place(segments_[i], memory, adapters_[i].row_begin);
    }
  }

  // Computes one thread's part of x A' . s. Adapters of few rows, as in decoding, are multiplied a
  // vector of ranks and a row at a time, several of them together.
  void project(const Inputs& x, int thread, int threads, uint32_t* acc) const {
    int64_t items = 0, vectors = 0;
    for (int i = 0; i < count_; i++) (few(i) ? vectors : items) += work(i, threads);
    int64_t first = slice_begin(items, threads, thread);
    int64_t last = slice_begin(items, threads, thread + 1);
    for (int i = 0; i < count_ && last > 0; i++) {
      if (few(i)) continue;
      const int64_t own = work(i, threads);
      for (int64_t item = max(first, 0); item < min(last, own); item++) {
        low_rank(i).project(threads, item, x, segments_[i], acc);
      }
      first -= own;
      last -= own;
    }
    project_vectors(x, slice_begin(vectors, threads, thread),
                    slice_begin(vectors, threads, thread + 1), acc);
  }

  // Prefetches what add reads of B.
  void prefetch(int64_t tile, int64_t m, int rows) const {
    for (int i = first_from(m); i < count_ && adapters_[i].row_begin < m + rows; i++) {
      low_rank(i).prefetch(segments_[i], tile);
    }
  }
  // Adds the terms to the sums of some of the rows and one tile.
  void add(int64_t tile, int64_t m, int rows, uint32_t* acc) const {
    for (int i = first_from(m); i < count_ && adapters_[i].row_begin < m + rows; i++) {
      low_rank(i).add(segments_[i], 0, tile, m, rows, acc);
    }
  }

 private:
  static constexpr int kFewRows = 2;
  static constexpr int kTogether = 8;

  int64_t row_count(int i) const { return adapters_[i].row_end - adapters_[i].row_begin; }
  bool few(int i) const { return row_count(i) <= kFewRows; }
  int64_t work(int i, int threads) const {
    return few(i) ? row_count(i) * low_rank(i).vectors() : low_rank(i).items(threads);
  }
  LowRank<L> low_rank(int i) const {
    const precis_lora_rows& r = adapters_[i];
    return {{&r.a, &r.b, r.segments, r.segment_count}, r.row_begin, r.row_end};
  }

  // Returns the first of the adapters that end behind row m.
  int first_from(int64_t m) const {
    int from = 0, to = count_;
    while (from < to) {
      const int middle = (from + to) / 2;
      if (adapters_[middle].row_end > m) {
        to = middle;
      } else {
        from = middle + 1;
      }
    }
    return from;
  }

  // One vector of ranks of one row.
  struct Vector {
    int adapter;
    int64_t row;
    int64_t vector;
  };
  // Moves on to the next adapter of few rows that has ranks, from this one on.
  void skip(Vector& v) const {
    while (v.adapter < count_ && (!few(v.adapter) || work(v.adapter, 1) == 0)) v.adapter++;
    if (v.adapter < count_) v.row = adapters_[v.adapter].row_begin;
  }
  void advance(Vector& v) const {
    if (++v.vector < low_rank(v.adapter).vectors()) return;
    v.vector = 0;
    if (++v.row < adapters_[v.adapter].row_end) return;
    v.adapter++;
    skip(v);
  }
  void project_vectors(const Inputs& x, int64_t first, int64_t last, uint32_t* acc) const {
    if (first >= last) return;
    Vector v = {0, 0, 0};
    skip(v);
    for (int64_t i = 0; i < first; i++) advance(v);
    Vector now[kTogether], next[kTogether];
    Term terms[kTogether], ahead[kTogether];
    // Fills the places of fewer than kTogether with repetitions.
    const auto take = [&](Vector* some, Term* of) {
      const int count = static_cast<int>(min(last - first, kTogether));
      for (int i = 0; i < kTogether; i++) {
        some[i] = i < count ? v : some[i - count];
        of[i] = low_rank(some[i].adapter).vector_term(x, some[i].row, some[i].vector);
        if (i < count && ++first < last) advance(v);
      }
      return count;
    };
    uint32_t* sums[kTogether];
    for (int i = 0; i < kTogether; i++) sums[i] = acc + i * kTileOutputs;
    for (int count = take(next, ahead); count > 0;) {
      const int current = count;
      for (int i = 0; i < kTogether; i++) {
        now[i] = next[i];
        terms[i] = ahead[i];
      }
      count = first < last ? take(next, ahead) : 0;
      multiply_vectors<L, kTogether>(terms, ahead, sums);
      for (int i = 0; i < current; i++) {
        low_rank(now[i].adapter)
            .put_vector(segments_[now[i].adapter], now[i].row, now[i].vector, sums[i]);
      }
    }
  }

  const precis_lora_rows* adapters_;
  const int count_;
  Segments* segments_ = nullptr;
};

}  // namespace
}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_OPS_MATMUL_LORA_H_
