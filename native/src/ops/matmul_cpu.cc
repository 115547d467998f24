#include <type_traits>

#include "context.h"
#include "cpu/dot.h"
#include "error.h"
#include "ops/matmul.h"
#include "ops/matmul_product.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr int W = Vec::kWidth;
constexpr int kMaxRows = 6;            // of a register tile
constexpr int64_t kChunkUnits = 1024;  // 256 KB of a tile, which stay in L2
// Rows that a tile is multiplied with before the next: x in 384 KB, which stay in L2 meanwhile.
constexpr int64_t kRowBlockBytes = 384 << 10;
constexpr int64_t kMinRowBlock = 48, kMaxRowBlock = 384;
// x is prepared by every thread for itself up to here: cheaper than one more round of the threads.
constexpr int64_t kPrivateInputs = 8192;

// How many vectors of outputs a register tile of R rows has: R * V + V + 1 registers of 32
// (AVX-512), 16 (AVX2) or, where two make a vector, 8 (portable).
#if defined(__AVX512F__)
constexpr int vectors_for(int) { return 4; }
#elif defined(__AVX2__)
constexpr int vectors_for(int rows) { return rows == 1 ? 8 : rows == 2 ? 4 : 2; }
#else
constexpr int vectors_for(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }
#endif

// From so many rows on, x A' is computed by blocks of rows: two vectors of ranks times kTallRows
// rows in registers, kLowUnits units at a time, so that A stays in L1 while the rows of a block
// pass by.
constexpr int64_t kManyRows = 64, kLowRowBlock = 96, kLowUnits = 64;
#if defined(__AVX512F__)
constexpr int kTallRows = 12;
#else
constexpr int kTallRows = kMaxRows;
#endif

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// One product of those that a register tile sums up.
struct Term {
  const char* x;
  int64_t x_stride;
  const uint32_t* w;
  int64_t units;
};

// acc[r][0, outputs) (+)= the terms' x_r W' for R rows and the first outputs of a tile. For every
// unit of the first term, kPrefetch cache lines are fetched into L2, from ahead on 256 bytes apart.
template <class D, int R, int V, int kPrefetch>
void multiply_tile(const Term* terms, int count, int outputs, bool resume, const char* ahead,
                   uint32_t* acc) {
  using Acc = typename D::Acc;
  for (int n = 0; n < outputs; n += V * W) {
    Acc a[R][V];
    for (int r = 0; r < R; r++) {
      for (int v = 0; v < V; v++) {
        a[r][v] = resume ? load_as<Acc>(acc + r * kTileOutputs + n + v * W) : Acc::zero();
      }
    }
    for (int t = 0; t < count; t++) {
      const uint32_t* w = terms[t].w + n;
      const char* x = terms[t].x;
      const int64_t x_stride = terms[t].x_stride;
      for (int64_t u = terms[t].units; u > 0; u--, w += kTileOutputs, x += D::kXBytes) {
        auto part = [&]<int P>() __attribute__((always_inline)) {
          decltype(D::template weights<P>(w)) b[V];
          for (int v = 0; v < V; v++) b[v] = D::template weights<P>(w + v * W);
          for (int r = 0; r < R; r++) {
            const auto xr = D::template input<P>(x + r * x_stride);
            for (int v = 0; v < V; v++) a[r][v] = D::dot(a[r][v], xr, b[v]);
          }
        };
        part.template operator()<0>();
        if constexpr (D::kParts == 2) part.template operator()<1>();
        if constexpr (kPrefetch > 0) {
          for (int i = 0; i < kPrefetch; i++) __builtin_prefetch(ahead + 64 * i, 0, 2);
          ahead += kTileOutputs * kUnitBytes;
        }
      }
    }
    for (int r = 0; r < R; r++) {
      for (int v = 0; v < V; v++) {
        a[r][v].store(reinterpret_cast<float*>(acc + r * kTileOutputs + n + v * W));
      }
    }
  }
}

// f.operator()<R>() for R = rows.
template <class F>
void with_rows(int rows, const F& f) {
  switch (rows) {
    case 1:
      return f.template operator()<1>();
    case 2:
      return f.template operator()<2>();
    case 3:
      return f.template operator()<3>();
    case 4:
      return f.template operator()<4>();
    case 5:
      return f.template operator()<5>();
    case 6:
      return f.template operator()<6>();
  }
}

template <class D, int kPrefetch>
void multiply_rows(int rows, const Term* terms, int count, bool resume, const char* ahead,
                   uint32_t* acc) {
  with_rows(rows, [&]<int R>() {
    multiply_tile<D, R, vectors_for(R), kPrefetch>(terms, count, kTileOutputs, resume, ahead, acc);
  });
}

// ---------------------------------------------------------------- oneDNN

// x in the formats that oneDNN takes, whatever the instruction set.
struct OneDnnFloat32 {
  static constexpr int32_t kX = PRECIS_FLOAT32;
  static constexpr int kInputs = 1, kXBytes = 4;
};
struct OneDnnBfloat16 {
  static constexpr int32_t kX = PRECIS_BFLOAT16;
  static constexpr int kInputs = 2, kXBytes = 4;
};
struct OneDnnInt8 : UnsignedInputs {};

// Products are made for these numbers of rows, and at most so many tiles: 256 KB of sums. A block
// of fewer rows is multiplied with what lies behind it in scratch.
constexpr int64_t kOneDnnRows[] = {16, 32, 64, 128};
constexpr int64_t kOneDnnMaxRows = 128;
constexpr int64_t kOneDnnTiles = 8;

int64_t onednn_rows(int64_t rows) {
  for (int64_t r : kOneDnnRows) {
    if (rows <= r) return r;
  }
  return kOneDnnMaxRows;
}

template <class D>
constexpr bool is_onednn() {
  return requires { D::kParts; }
  == false;
}

// ---------------------------------------------------------------- x

// int8 with eight bits for an element: the multiple of 256 that an element's byte lacks, as one of
// a pair of 16 bits, and where the words of its unit's weights lie in a tile.
struct Outlier {
  int32_t word;
  uint32_t pair;
};

// How many outliers of a row there are at even k and at odd.
struct OutlierCounts {
  int32_t even, odd;
};

// Of a block of rows, at most most for each: those at even k from the start, at odd from the end.
struct Outliers {
  Outlier* data = nullptr;
  OutlierCounts* counts = nullptr;
  int64_t most = 0;
};

// Whether D's elements have no more than eight bits.
template <class D>
constexpr bool has_outliers() {
  return std::is_base_of_v<UnsignedInputs, D>;
}

// Rows as D wants them.
struct Inputs {
  const char* data;
  int64_t stride;       // bytes
  const float* scales;  // int8: one for each row
  int64_t first;        // the row at data
  Outliers outliers;
  const char* row(int64_t m) const { return data + (m - first) * stride; }
};

// Rows an odd number of cache lines long: six of them do not compete for one set of L1.
template <class D>
int64_t prepared_stride(int64_t inputs) {
  const int64_t bytes = (inputs + 63) / 64 * 64 / D::kInputs * D::kXBytes;
  return (bytes / 64 | 1) * 64;
}

// Writes W neighbours of x; to points at the first.
template <class D>
void put(Vec v, char* to) {
  if constexpr (D::kX == PRECIS_BFLOAT16) {
    v.store(reinterpret_cast<uint16_t*>(to));
  } else if constexpr (D::kInputs == 2) {
    uint16_t rounded[W];
    v.store(rounded);
    Vec::load(rounded).store(reinterpret_cast<float*>(to));
  } else {
    v.store(reinterpret_cast<float*>(to));
  }
}

template <class T>
Vec load_some(const T* p, int64_t left) {
  return left >= W ? Vec::load(p) : Vec::load(p, static_cast<int>(left));
}

// How many elements are above limit in magnitude.
template <class T>
int64_t count_above(const T* x, int64_t inputs, float limit) {
  Vec count = Vec::zero();
  for (int64_t k = 0; k < inputs; k += W) {
    const Vec v = load_some(x + k, inputs - k);
    const Vec above = max(v, Vec::zero() - v) - Vec::set1(limit);
    count = count + if_positive(above, Vec::set1(1.0f), Vec::zero());
  }
  return static_cast<int64_t>(count.sum());
}

// Those elements whose byte is not all of them: q = 127 x / limit is beyond [-128, 127].
template <class T>
OutlierCounts find_outliers(const T* x, int64_t inputs, float limit, Outlier* to) {
  OutlierCounts count = {0, 0};
  Outlier* last = to + int8_outliers(inputs) - 1;
  for (int64_t k = 0; k < inputs; k += W) {
    const Vec v = load_some(x + k, inputs - k);
    if (max(v, Vec::zero() - v).largest() <= limit) continue;
    int32_t q[W];
    quantise(v, Vec::set1(127.0f / limit), 0).store(q);
    for (int i = 0; i < W; i++) {
      const int32_t whole = static_cast<int16_t>(q[i]), rest = whole - static_cast<int8_t>(whole);
      if (rest == 0) continue;
      const int64_t at = k + i;
      Outlier& o = at % 2 == 0 ? to[count.even++] : last[-count.odd++];
      o = {static_cast<int32_t>(at / 4 * kTileOutputs),
           static_cast<uint32_t>(rest) << 16 >> (at % 4 < 2 ? 16 : 0)};
    }
  }
  return count;
}

template <class D, class T>
void prepare_row(const T* x, int64_t inputs, char* to, float* scale, Outlier* outliers,
                 OutlierCounts* counts) {
  if constexpr (D::kInputs == 4) {
    Vec largest = Vec::zero(), spoilt = Vec::zero();
    for (int64_t k = 0; k < inputs; k += W) {
      const Vec v = load_some(x + k, inputs - k);
      largest = max(largest, max(v, Vec::zero() - v));
      spoilt = fma(v, Vec::zero(), spoilt);  // NaN from NaN and infinity
    }
    float magnitude = largest.largest() + spoilt.sum();
    const bool usable = magnitude >= kSmallestMagnitude;
    int bits = 0;
    while (usable && bits < kMaxOutlierBits &&
           count_above(x, inputs, magnitude / 2) <= int8_outliers(inputs)) {
      magnitude /= 2;
      bits++;
    }
    if constexpr (has_outliers<D>()) {
      *counts = bits > 0 ? find_outliers(x, inputs, magnitude, outliers) : OutlierCounts{0, 0};
    }
    const Vec inverse = Vec::set1(usable ? 127.0f / magnitude : 0.0f);
    *scale = usable || magnitude != magnitude ? magnitude / 127.0f : 0.0f;
    for (int64_t k = 0; k < (inputs + 15) / 16 * 16; k += W) {
      const Vec v = k < inputs ? load_some(x + k, inputs - k) : Vec::zero();
      D::put(v, inverse, to, k);
    }
  } else {
    for (int64_t k = 0; k < inputs; k += W) {
      put<D>(load_some(x + k, inputs - k), to + k * (D::kXBytes / D::kInputs));
    }
  }
}

// Where prepared rows go, all of x or those from first on; nothing is prepared where x can be read
// as it lies.
template <class D>
struct Preparation {
  precis_tensor x;
  bool direct;
  int64_t stride;
  char* data = nullptr;
  float* scales = nullptr;
  int64_t first = 0;
  Outliers outliers;

  explicit Preparation(const precis_tensor& t) : x(t) {
    direct = !is_onednn<D>() && t.dtype == D::kX && columns(t) % D::kInputs == 0;
    stride = prepared_stride<D>(columns(t));
    if (has_outliers<D>()) outliers.most = int8_outliers(columns(t));
  }
  static int64_t padded(int64_t count) { return count + (is_onednn<D>() ? kOneDnnMaxRows : 0); }
  static int64_t padded_words(int64_t count) { return (count * 4 + 63) / 64 * 64; }
  // For so many rows.
  int64_t bytes(int64_t count) const {
    if (direct) return 0;
    return padded(count) * stride + padded_words(count) + padded_words(2 * count) +
           count * outliers.most * static_cast<int64_t>(sizeof(Outlier));
  }
  void place(char* memory, int64_t first_row, int64_t count) {
    data = memory;
    char* behind = memory + padded(count) * stride;
    scales = reinterpret_cast<float*>(behind);
    behind += padded_words(count);
    outliers.counts = reinterpret_cast<OutlierCounts*>(behind);
    outliers.data = reinterpret_cast<Outlier*>(behind + padded_words(2 * count));
    first = first_row;
  }
  void prepare(int64_t begin, int64_t end) const {
    if (direct) return;
    auto prepare_from = [&](const auto* p, int64_t at) {
      prepare_row<D>(p, columns(x), data + at * stride, scales + at,
                     outliers.data + at * outliers.most, outliers.counts + at);
    };
    for (int64_t m = begin; m < end; m++) {
      if (x.dtype == PRECIS_BFLOAT16) {
        prepare_from(row<const uint16_t>(x, m), m - first);
      } else {
        prepare_from(row<const float>(x, m), m - first);
      }
    }
  }
  Inputs inputs() const {
    if (!direct) return {data, stride, scales, first, outliers};
    return {static_cast<const char*>(x.data),
            row_stride(x) * static_cast<int64_t>(x.dtype == PRECIS_BFLOAT16 ? 2 : 4),
            nullptr,
            0,
            {}};
  }
};

// ---------------------------------------------------------------- y

// int32 sums of rows from m on to what they stand for, in place; w is the tile.
template <class D>
void dequantise(uint32_t* acc, int rows, const Inputs& x, int64_t m, const uint32_t* w,
                const float* scales, const int32_t* sums) {
  for (int r = 0; r < rows; r++) {
    constexpr int kVectors = kTileOutputs / W;
    const int64_t at = m + r - x.first;
    const Vec x_scale = Vec::set1(x.scales[at]);
    uint32_t* p = acc + r * kTileOutputs;
    IntVec sum[kVectors];
    for (int v = 0; v < kVectors; v++) sum[v] = D::finish(IntVec::load(p + v * W), sums + v * W);
    if constexpr (has_outliers<D>()) {
      const Outlier* row = x.outliers.data + at * x.outliers.most;
      const OutlierCounts count = x.outliers.counts[at];
      for (const Outlier* o = row; o < row + count.even; o++) {
        const IntVec pair = IntVec::set1(o->pair);
        for (int v = 0; v < kVectors; v++) {
          sum[v] = dot16(sum[v], pair, even_bytes(IntVec::load(w + o->word + v * W)));
        }
      }
      const Outlier* end = row + x.outliers.most;
      for (const Outlier* o = end - count.odd; o < end; o++) {
        const IntVec pair = IntVec::set1(o->pair);
        for (int v = 0; v < kVectors; v++) {
          sum[v] = dot16(sum[v], pair, odd_bytes(IntVec::load(w + o->word + v * W)));
        }
      }
    }
    for (int v = 0; v < kVectors; v++) {
      (to_float(sum[v]) * (x_scale * Vec::load(scales + v * W)))
          .store(reinterpret_cast<float*>(p + v * W));
    }
  }
}

template <class Y, bool kAccumulate>
void store_row(const float* acc, Vec alpha, int64_t outputs, Y* y) {
  for (int64_t n = 0; n < outputs; n += W) {
    const int left = static_cast<int>(outputs - n);
    Vec v = Vec::load(acc + n) * alpha;
    if (left >= W) {
      if constexpr (kAccumulate) v = v + Vec::load(y + n);
      v.store(y + n);
    } else {
      if constexpr (kAccumulate) v = v + Vec::load(y + n, left);
      v.store(y + n, left);
    }
  }
}

void store_rows(const MatmulProduct& p, const uint32_t* acc, int64_t m, int rows, int64_t n) {
  const int64_t left = columns(p.y) - n;
  const int64_t outputs = left < kTileOutputs ? left : kTileOutputs;
  const Vec alpha = Vec::set1(p.alpha);
  for (int r = 0; r < rows; r++) {
    const float* from = reinterpret_cast<const float*>(acc + r * kTileOutputs);
    if (p.y.dtype == PRECIS_BFLOAT16) {
      store_row<uint16_t, false>(from, alpha, outputs, row<uint16_t>(p.y, m + r) + n);
    } else if (p.accumulate) {
      store_row<float, true>(from, alpha, outputs, row<float>(p.y, m + r) + n);
    } else {
      store_row<float, false>(from, alpha, outputs, row<float>(p.y, m + r) + n);
    }
  }
}

// ---------------------------------------------------------------- low-rank terms

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
  i.units = (s.rank_end + L::kInputs - 1) / L::kInputs - i.first_unit;
  if (s.rank_end <= s.rank_begin) i.units = 0;
  i.stride = (i.units * L::kXBytes + 63) / 64 * 64 + 64;
  i.data = nullptr;
  i.first = 0;
  return i;
}

// Copies ranks [first, first + count) of one row, out of acc, into the segments that use them.
template <class L>
void put_ranks(const MatmulProduct& p, const SegmentInputs* segments, const float* acc, int64_t m,
               int64_t first, int64_t count) {
  for (int i = 0; i < p.segment_count; i++) {
    const precis_lora_segment& s = p.segments[i];
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
void store_down(const MatmulProduct& p, const float* acc, int64_t m, int64_t first, int64_t count) {
  float* to = row<float>(p.down, m) + first;
  for (int64_t k = 0; k < count; k += W) {
    const int n = static_cast<int>(smaller(count - k, W));
    const int64_t rank = first + k;
    bool whole = false;
    for (int i = 0; i < p.segment_count && !whole; i++) {
      const precis_lora_segment& s = p.segments[i];
      whole = n == W && s.rank_begin <= rank && s.rank_end >= rank + W;
      if (whole) (Vec::load(acc + k) * Vec::set1(s.scaling)).store(to + k);
    }
    for (int64_t j = k; j < k + n && !whole; j++) {
      to[j] = 0;
      for (int i = 0; i < p.segment_count; i++) {
        const precis_lora_segment& s = p.segments[i];
        if (first + j >= s.rank_begin && first + j < s.rank_end) to[j] = acc[j] * s.scaling;
      }
    }
  }
}

// The ranks that pad the units of a segment, in one row.
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

// What of a tile's outputs a segment has.
Overlap overlap(const MatmulProduct& p, const precis_lora_segment& s, int64_t tile) {
  const int64_t begin = tile * kTileOutputs, end = smaller(begin + kTileOutputs, p.w.outputs);
  if (s.rank_end <= s.rank_begin || s.output_end <= begin || s.output_begin >= end) {
    return Overlap::kNone;
  }
  return s.output_begin <= begin && s.output_end >= end ? Overlap::kWhole : Overlap::kPart;
}

// (s x A') B' of one segment, for rows from m on and one tile.
Term segment_term(const MatmulProduct& p, const SegmentInputs& in, int64_t tile, int64_t m) {
  const PackedLayout layout = packed_layout(p.b->outputs, p.b->inputs, p.b->dtype);
  return {in.row(m), in.stride,
          static_cast<const uint32_t*>(p.b->data) +
              (tile * layout.units + in.first_unit) * kTileOutputs,
          in.units};
}

// Adds a segment to the sums of those outputs that it has.
template <class L>
void add_segment(const MatmulProduct& p, const precis_lora_segment& s, const SegmentInputs& in,
                 int64_t tile, int64_t m, int rows, uint32_t* acc) {
  const Overlap has = overlap(p, s, tile);
  if (has == Overlap::kNone) return;
  const Term term = segment_term(p, in, tile, m);
  if (has == Overlap::kWhole) return multiply_rows<L, 0>(rows, &term, 1, true, nullptr, acc);
  alignas(64) uint32_t sums[kMaxRows * kTileOutputs];
  __builtin_memcpy(sums, acc, static_cast<size_t>(rows * kTileOutputs * 4));
  multiply_rows<L, 0>(rows, &term, 1, true, nullptr, sums);
  const int64_t n = tile * kTileOutputs;
  const int64_t begin = s.output_begin > n ? s.output_begin - n : 0;
  const int64_t end = smaller(s.output_end - n, kTileOutputs);
  for (int r = 0; r < rows; r++) {
    __builtin_memcpy(acc + r * kTileOutputs + begin, sums + r * kTileOutputs + begin,
                     static_cast<size_t>((end - begin) * 4));
  }
}

// ---------------------------------------------------------------- the product

// Row i of count, when n things are split into count parts that differ by one at most.
int64_t split(int64_t n, int64_t count, int64_t i) { return n * i / count; }

// D multiplies W, L multiplies A and B.
template <class D, class L>
class Multiplication {
 public:
  Multiplication(CpuContext& context, const MatmulProduct& p)
      : context_(context),
        p_(p),
        x_(p.x),
        low_x_(p.lora_x.data != nullptr ? p.lora_x : p.x),
        same_x_(kSame && p.lora_x.data == nullptr) {}

  void run() {
    if constexpr (is_onednn<D>()) {
      run_at_once();
      if (__atomic_load_n(&onednn_failed_, __ATOMIC_RELAXED)) {
        fail(PRECIS_INTERNAL_ERROR, "matmul: oneDNN could not multiply");
      }
    } else {
      rows(p_.x) < kManyRows ? run_at_once() : run_by_blocks();
    }
  }

 private:
  // Whether W and A want x in one format.
  static constexpr bool kSame = D::kInputs == L::kInputs && D::kXBytes == L::kXBytes;
  // Whether the low-rank sums can continue in the registers of x W'.
  static constexpr bool kFused = kSame && !is_onednn<D>();

  // What the adapters have for some rows: s x A', segment by segment.
  struct Low {
    SegmentInputs segments[4];
  };

  // Parts of scratch, one behind the other.
  struct Claims {
    int64_t bytes = 0;
    int64_t add(int64_t size) {
      const int64_t at = bytes;
      bytes += (size + 63) / 64 * 64;
      return at;
    }
  };
  // Of so many rows: where each segment begins; layouts into low.
  void claim_segments(Claims& claims, int64_t count, int64_t* at, Low& low) const {
    for (int i = 0; low_rank() && i < p_.segment_count; i++) {
      low.segments[i] = segment_layout<L>(p_.segments[i]);
      // Whole vectors are written, perhaps from the middle of the last unit.
      at[i] = claims.add(count * low.segments[i].stride + 64);
    }
  }

  bool low_rank() const { return p_.a != nullptr && p_.segment_count > 0; }

  // Few rows, and oneDNN, whose products want them all: what comes before x W' is shared out, and
  // done when that begins.
  void run_at_once() {
    const int64_t m = rows(p_.x);
    const int threads = context_.pool.threads();
    const bool own_low_x = low_rank() && !same_x_;
    const bool shared = threads == 1 || m * columns(p_.x) > kPrivateInputs;
    Claims claims;
    const int64_t x_size = (x_.bytes(m) + 63) / 64 * 64;
    const int64_t x_at = claims.add(x_size * (shared ? 1 : threads));
    const int64_t low_x_at = own_low_x ? claims.add(low_x_.bytes(m)) : 0;
    int64_t segments_at[4];
    Low low;
    claim_segments(claims, m, segments_at, low);
    const int64_t acc_size = is_onednn<D>()
                                 ? (kOneDnnMaxRows * kOneDnnTiles + kMaxRows) * kTileOutputs * 4
                                 : kMaxRowBlock * kTileOutputs * 4;
    const int64_t acc_at = claims.add(acc_size * threads);
    if constexpr (is_onednn<D>()) prepare_onednn(m, threads);
    char* memory = static_cast<char*>(context_.scratch.reserve(static_cast<size_t>(claims.bytes)));
    x_.place(memory + x_at, 0, m);
    if (own_low_x) low_x_.place(memory + low_x_at, 0, m);
    for (int i = 0; low_rank() && i < p_.segment_count; i++) {
      low.segments[i].data = memory + segments_at[i];
    }
    if ((shared && !x_.direct) || own_low_x) {
      parallel_ranges(context_.pool, m, 1 + kPrivateInputs / columns(p_.x),
                      [&](int64_t begin, int64_t end) {
                        if (shared) x_.prepare(begin, end);
                        if (own_low_x) low_x_.prepare(begin, end);
                      });
    }
    if (low_rank()) {
      if (same_x_ && !shared) x_.prepare(0, m);
      project(same_x_ ? x_.inputs() : low_x_.inputs(), low, memory + acc_at, acc_size);
    }
    parallel(context_.pool, [&](int thread, int count) {
      Preparation<D> own = x_;
      if (!shared) {
        own.place(memory + x_at + thread * x_size, 0, m);
        if (!(low_rank() && same_x_ && thread == 0)) own.prepare(0, m);
      }
      auto* acc = reinterpret_cast<uint32_t*>(memory + acc_at + thread * acc_size);
      if constexpr (is_onednn<D>()) {
        work_onednn(own.inputs(), low, thread, count, acc);
      } else {
        work(thread, count, [&](int64_t tile, int64_t m0, int64_t m1, bool more) {
          multiply_block(own.inputs(), low, tile, m0, m1, more, acc);
        });
      }
    });
  }

  // Many rows: a thread prepares a block of them, multiplies it with A, and then with the tiles of
  // W, while the block stays in its L2.
  void run_by_blocks() {
    const int64_t m = rows(p_.x);
    const int threads = context_.pool.threads();
    const bool own_low_x = low_rank() && !same_x_;
    const int64_t most = (m + count_blocks(threads) - 1) / count_blocks(threads);
    Claims claims;
    const int64_t x_at = claims.add(x_.bytes(most));
    const int64_t low_x_at = own_low_x ? claims.add(low_x_.bytes(most)) : 0;
    int64_t segments_at[4];
    Low layout;
    claim_segments(claims, most, segments_at, layout);
    const int64_t acc_at = claims.add(kMaxRowBlock * kTileOutputs * 4);
    const int64_t blank_at = low_rank() ? claims.add(low_pieces() * low_chunks()) : 0;
    char* memory =
        static_cast<char*>(context_.scratch.reserve(static_cast<size_t>(claims.bytes * threads)));
    parallel(context_.pool, [&](int thread, int count) {
      char* own = memory + thread * claims.bytes;
      auto* acc = reinterpret_cast<uint32_t*>(own + acc_at);
      Preparation<D> x = x_;
      Preparation<L> low_x = low_x_;
      Low low = layout;
      uint8_t* blank = reinterpret_cast<uint8_t*>(own + blank_at);
      if (low_rank()) find_blanks(blank);
      int64_t current = -1;
      work(thread, count, [&](int64_t tile, int64_t m0, int64_t m1, bool more) {
        if (m0 != current) {
          current = m0;
          x.place(own + x_at, m0, most);
          x.prepare(m0, m1);
          if (own_low_x) {
            low_x.place(own + low_x_at, m0, most);
            low_x.prepare(m0, m1);
          }
          for (int i = 0; low_rank() && i < p_.segment_count; i++) {
            low.segments[i].data = own + segments_at[i];
            low.segments[i].first = m0;
          }
          // Another thread may have other tiles of this block: the one with the first writes down.
          if (low_rank()) {
            project_rows(same_x_ ? x.inputs() : low_x.inputs(), low, m0, m1, tile == 0, blank, acc);
          }
        }
        multiply_block(x.inputs(), low, tile, m0, m1, more, acc);
      });
    });
  }

  // The rows' s x A' by groups of rows and pieces of ranks: whole tiles, but two vectors where
  // there are few groups, and what is left of the ranks.
  void project(const Inputs& x, const Low& low, char* memory, int64_t acc_size) {
    const int64_t m = rows(p_.x), groups = (m + kMaxRows - 1) / kMaxRows;
    const int64_t piece = groups < context_.pool.threads() ? kNarrow : kTileOutputs;
    const int64_t pieces = (p_.a->outputs + piece - 1) / piece;
    parallel(context_.pool, [&](int thread, int threads) {
      uint32_t* acc = reinterpret_cast<uint32_t*>(memory + thread * acc_size);
      const int64_t items = groups * pieces;
      const int64_t last = split(items, threads, thread + 1);
      for (int64_t item = split(items, threads, thread); item < last; item++) {
        const int64_t rank = item / groups * piece, group = item % groups;
        const int64_t ranks = smaller(piece, p_.a->outputs - rank);
        const int64_t first = split(m, groups, group), end = split(m, groups, group + 1);
        project_group(x, first, static_cast<int>(end - first), rank, ranks, acc);
        put_projected(low, first, end, rank, ranks, p_.down.data != nullptr, acc);
      }
    });
  }

  // The same of rows [m0, m1) by blocks of them and pieces of two vectors of ranks.
  void project_rows(const Inputs& x, const Low& low, int64_t m0, int64_t m1, bool down,
                    const uint8_t* blank, uint32_t* acc) const {
    const int64_t blocks = (m1 - m0 + kLowRowBlock - 1) / kLowRowBlock;
    for (int64_t b = 0; b < blocks; b++) {
      const int64_t first = m0 + split(m1 - m0, blocks, b),
                    end = m0 + split(m1 - m0, blocks, b + 1);
      for (int64_t rank = 0; rank < p_.a->outputs; rank += kNarrow) {
        project_block(x, first, end - first, rank, blank + rank / kNarrow * low_chunks(), acc);
        put_projected(low, first, end, rank, smaller(kNarrow, p_.a->outputs - rank),
                      down && p_.down.data != nullptr, acc);
      }
    }
  }

  // Ranks [rank, rank + ranks) of rows [first, end), out of acc to where they are used.
  void put_projected(const Low& low, int64_t first, int64_t end, int64_t rank, int64_t ranks,
                     bool down, const uint32_t* acc) const {
    for (int64_t r = first; r < end; r++) {
      const float* sums = reinterpret_cast<const float*>(acc + (r - first) * kTileOutputs);
      put_ranks<L>(p_, low.segments, sums, r, rank, ranks);
      for (int i = 0; rank == 0 && i < p_.segment_count; i++) {
        zero_padding<L>(p_.segments[i], low.segments[i], r);
      }
      if (down) store_down(p_, sums, r, rank, ranks);
    }
  }

  static constexpr int64_t kNarrow = 2 * W;

  // A from this rank on.
  const uint32_t* low_weights(int64_t rank) const {
    const PackedLayout layout = packed_layout(p_.a->outputs, p_.a->inputs, p_.a->dtype);
    return static_cast<const uint32_t*>(p_.a->data) +
           rank / kTileOutputs * layout.units * kTileOutputs + rank % kTileOutputs;
  }

  void project_group(const Inputs& x, int64_t first, int rows, int64_t rank, int64_t ranks,
                     uint32_t* acc) const {
    const Term term = {x.row(first), x.stride, low_weights(rank), low_units()};
    if (ranks > kNarrow) return multiply_rows<L, 0>(rows, &term, 1, false, nullptr, acc);
    with_rows(rows, [&]<int R>() {
      // Half of the cache lines only: left to itself, the processor fetches them late.
      multiply_tile<L, R, 2, 2>(&term, 1, kNarrow, false,
                                reinterpret_cast<const char*>(term.w + 16 * kTileOutputs), acc);
    });
  }

  int64_t low_units() const { return (p_.a->inputs + L::kInputs - 1) / L::kInputs; }
  int64_t low_pieces() const { return (p_.a->outputs + kNarrow - 1) / kNarrow; }
  int64_t low_chunks() const { return (low_units() + kLowUnits - 1) / kLowUnits; }

  // Which chunks of units of a piece of ranks hold nothing but zeros. Where several adapters lie in
  // one A, as in the gradient with respect to x, most of them do, and are left out.
  void find_blanks(uint8_t* blank) const {
    for (int64_t piece = 0; piece < low_pieces(); piece++) {
      const uint32_t* w = low_weights(piece * kNarrow);
      for (int64_t u = 0; u < low_units(); u += kLowUnits) {
        uint32_t any = 0;
        for (int64_t i = u; i < smaller(u + kLowUnits, low_units()); i++) {
          for (int64_t n = 0; n < kNarrow; n++) any |= w[i * kTileOutputs + n];
        }
        blank[piece * low_chunks() + u / kLowUnits] = any == 0;
      }
    }
  }

  void project_block(const Inputs& x, int64_t first, int64_t rows, int64_t rank,
                     const uint8_t* blank, uint32_t* acc) const {
    const int64_t units = low_units();
    bool resume = false;
    for (int64_t u = 0; u < units; u += kLowUnits) {
      if (blank[u / kLowUnits]) continue;
      const int64_t count = smaller(kLowUnits, units - u);
      for (int64_t r = 0; r < rows;) {
        const char* data = x.row(first + r) + u * L::kXBytes;
        const Term term = {data, x.stride, low_weights(rank) + u * kTileOutputs, count};
        uint32_t* sums = acc + r * kTileOutputs;
        const int some = static_cast<int>(smaller(rows - r, kTallRows));
        if (u + count < units && !blank[u / kLowUnits + 1]) {
          for (int i = 0; i < some; i++) {
            for (int64_t b = 0; b < kLowUnits * L::kXBytes; b += 64) {
              __builtin_prefetch(data + i * x.stride + kLowUnits * L::kXBytes + b);
            }
          }
        }
        if (some == kTallRows) {
          multiply_tile<L, kTallRows, 2, 0>(&term, 1, kNarrow, resume, nullptr, sums);
          r += kTallRows;
        } else {
          const int few = some < kMaxRows ? some : kMaxRows;
          with_rows(few, [&]<int R>() {
            multiply_tile<L, R, 2, 0>(&term, 1, kNarrow, resume, nullptr, sums);
          });
          r += few;
        }
      }
      resume = true;
    }
    if (!resume) __builtin_memset(acc, 0, static_cast<size_t>(rows * kTileOutputs * 4));
  }

  int64_t units() const { return (p_.w.inputs + D::kInputs - 1) / D::kInputs; }

  int64_t count_blocks(int threads) const {
    const int64_t m = rows(p_.x), tiles = (p_.w.outputs + kTileOutputs - 1) / kTileOutputs;
    int64_t block_rows = kRowBlockBytes / (units() * D::kXBytes);
    if (block_rows < kMinRowBlock) block_rows = kMinRowBlock;
    if (block_rows > kMaxRowBlock) block_rows = kMaxRowBlock;
    while (block_rows > kMaxRows && tiles * ((m + block_rows - 1) / block_rows) < 4 * threads) {
      block_rows /= 2;
    }
    return (m + block_rows - 1) / block_rows;
  }

  // One thread's contiguous part of (block of rows, tile), blocks outside: few rows stream one part
  // of the weights from memory; many rows find their x in L2 while the tiles pass by. Calls
  // f(tile, first row, last, whether another tile will follow).
  template <class F>
  void work(int thread, int threads, const F& f) const {
    const int64_t m = rows(p_.x), tiles = (p_.w.outputs + kTileOutputs - 1) / kTileOutputs;
    const int64_t blocks = count_blocks(threads), items = tiles * blocks;
    const int64_t last = split(items, threads, thread + 1);
    for (int64_t item = split(items, threads, thread); item < last; item++) {
      const int64_t block = item / tiles;
      f(item % tiles, split(m, blocks, block), split(m, blocks, block + 1), item + 1 < last);
    }
  }

  // Rows [m0, m1) times one tile. more: another tile will follow.
  void multiply_block(const Inputs& x, const Low& low, int64_t tile, int64_t m0, int64_t m1,
                      bool more, uint32_t* acc) const {
    const PackedLayout layout = packed_layout(p_.w.outputs, p_.w.inputs, p_.w.dtype);
    const int64_t units = this->units();
    const uint32_t* w =
        static_cast<const uint32_t*>(p_.w.data) + tile * layout.units * kTileOutputs;
    const int64_t groups = (m1 - m0 + kMaxRows - 1) / kMaxRows;
    // Segments that have the whole tile, up to the first that has a part of it.
    int fused = 0;
    if constexpr (kFused) {
      while (low_rank() && fused < p_.segment_count &&
             overlap(p_, p_.segments[fused], tile) != Overlap::kPart) {
        fused++;
      }
    }
    for (int i = 0; low_rank() && i < p_.segment_count; i++) {
      if (overlap(p_, p_.segments[i], tile) == Overlap::kNone) continue;
      const Term term = segment_term(p_, low.segments[i], tile, m0);
      for (int64_t u = 0; u < term.units * kTileOutputs; u += 16) __builtin_prefetch(term.w + u);
    }
    for (int64_t u = 0; u < units; u += kChunkUnits) {
      const int64_t count = smaller(kChunkUnits, units - u);
      const bool last_chunk = u + count == units;
      // Several groups of rows use a chunk of weights from L2; while the first two do, the next
      // chunk comes from memory, two of a unit's four cache lines in each.
      const bool ahead = groups > 1 && (more || !last_chunk);
      for (int64_t g = 0; g < groups; g++) {
        const int64_t first = split(m1 - m0, groups, g), row = m0 + first;
        const int rows = static_cast<int>(split(m1 - m0, groups, g + 1) - first);
        // Sums that wait for the next chunk need a place each; else one place stays in L1.
        uint32_t* sums = units > kChunkUnits ? acc + first * kTileOutputs : acc;
        Term terms[5] = {{x.row(row) + u * D::kXBytes, x.stride, w + u * kTileOutputs, count}};
        int n = 1;
        for (int i = 0; last_chunk && i < fused; i++) {
          if (overlap(p_, p_.segments[i], tile) == Overlap::kNone) continue;
          terms[n++] = segment_term(p_, low.segments[i], tile, row);
        }
        if (ahead && g < 2) {
          multiply_rows<D, 2>(
              rows, terms, n, u > 0,
              reinterpret_cast<const char*>(terms[0].w + count * kTileOutputs) + g * 128, sums);
        } else {
          multiply_rows<D, 0>(rows, terms, n, u > 0, nullptr, sums);
        }
        if (last_chunk) finish(x, low, fused, tile, row, rows, sums);
      }
    }
  }

  // Slices of tiles by blocks of rows, of two sizes each at most.
  struct OneDnnPlan {
    int64_t tiles;
    int64_t slices;
    int64_t row_blocks;
    int64_t slice_tiles(int64_t s) const {
      return split(tiles, slices, s + 1) - split(tiles, slices, s);
    }
  };

  OneDnnPlan onednn_plan(int64_t m, int threads) const {
    OneDnnPlan p;
    p.tiles = packed_layout(p_.w.outputs, p_.w.inputs, p_.w.dtype).tiles;
    p.row_blocks = (m + kOneDnnMaxRows - 1) / kOneDnnMaxRows;
    p.slices = (p.tiles + kOneDnnTiles - 1) / kOneDnnTiles;
    // Every thread an equal share where the tiles allow it.
    if (p.row_blocks % threads != 0) p.slices = (p.slices + threads - 1) / threads * threads;
    p.slices = smaller(p.slices, p.tiles);
    return p;
  }

  // Rows of block b; all but the last are full.
  static int64_t onednn_block_rows(int64_t m, int64_t b) {
    return smaller(kOneDnnMaxRows, m - b * kOneDnnMaxRows);
  }

  // Makes what work_onednn will need: while threads run, nothing is looked up or made.
  void prepare_onednn(int64_t m, int threads) {
    onednn_plan_ = onednn_plan(m, threads);
    context_.onednn->release_surplus();
    const int64_t tiles[2] = {onednn_plan_.tiles / onednn_plan_.slices,
                              (onednn_plan_.tiles + onednn_plan_.slices - 1) / onednn_plan_.slices};
    const int64_t blocks[2] = {0, onednn_plan_.row_blocks - 1};
    for (int b = 0; b < 2; b++) {
      for (int t = 0; t < 2; t++) {
        products_[b][t] =
            context_.onednn->product(onednn_rows(onednn_block_rows(m, blocks[b])), tiles[t],
                                     p_.w.inputs, x_.stride * D::kInputs / D::kXBytes, p_.w.dtype);
      }
    }
  }

  void work_onednn(const Inputs& x, const Low& low, int thread, int threads, uint32_t* acc) {
    const PackedLayout layout = packed_layout(p_.w.outputs, p_.w.inputs, p_.w.dtype);
    const OneDnnPlan& plan = onednn_plan_;
    const int64_t m = rows(p_.x), items = plan.slices * plan.row_blocks;
    const int64_t last = split(items, threads, thread + 1);
    uint32_t* sums = acc + kMaxRows * kTileOutputs;
    for (int64_t item = split(items, threads, thread); item < last; item++) {
      const int64_t slice = item / plan.row_blocks, block = item % plan.row_blocks;
      const int64_t tile = split(plan.tiles, plan.slices, slice), tiles = plan.slice_tiles(slice);
      const int64_t m0 = block * kOneDnnMaxRows, count = onednn_block_rows(m, block);
      precis_onednn_product* product =
          products_[block == plan.row_blocks - 1][tiles != plan.tiles / plan.slices];
      const uint32_t* w =
          static_cast<const uint32_t*>(p_.w.data) + tile * layout.units * kTileOutputs;
      if (!context_.onednn->multiply(product, thread, x.row(m0), w, sums)) {
        __atomic_store_n(&onednn_failed_, true, __ATOMIC_RELAXED);
        return;
      }
      for (int64_t r = 0; r < count; r += kMaxRows) {
        const int some = static_cast<int>(smaller(kMaxRows, count - r));
        for (int64_t t = 0; t < tiles; t++) {
          for (int i = 0; i < some; i++) {
            __builtin_memcpy(acc + i * kTileOutputs, sums + ((r + i) * tiles + t) * kTileOutputs,
                             kTileOutputs * 4);
          }
          finish(x, low, 0, tile + t, m0 + r, some, acc);
        }
      }
    }
  }

  // From the sums of x W', of which the first segments may be a part already, to y.
  void finish(const Inputs& x, const Low& low, int segment, int64_t tile, int64_t m, int rows,
              uint32_t* acc) const {
    if constexpr (D::kInputs == 4) {
      const PackedLayout layout = packed_layout(p_.w.outputs, p_.w.inputs, p_.w.dtype);
      const char* w = static_cast<const char*>(p_.w.data);
      dequantise<D>(acc, rows, x, m,
                    static_cast<const uint32_t*>(p_.w.data) + tile * layout.units * kTileOutputs,
                    reinterpret_cast<const float*>(w + layout.scales) + tile * kTileOutputs,
                    reinterpret_cast<const int32_t*>(w + layout.sums) + tile * kTileOutputs);
    }
    for (int i = segment; low_rank() && i < p_.segment_count; i++) {
      add_segment<L>(p_, p_.segments[i], low.segments[i], tile, m, rows, acc);
    }
    store_rows(p_, acc, m, rows, tile * kTileOutputs);
  }

  CpuContext& context_;
  const MatmulProduct& p_;
  Preparation<D> x_;
  Preparation<L> low_x_;
  bool same_x_;  // A multiplies the very x that W does
  OneDnnPlan onednn_plan_;
  precis_onednn_product* products_[2][2];  // by: last block of rows, larger slice
  bool onednn_failed_ = false;
};

template <class D>
void multiply(CpuContext& context, const MatmulProduct& p) {
  if (p.a != nullptr && p.a->dtype == PRECIS_BFLOAT16) {
    Multiplication<D, DotBfloat16>(context, p).run();
  } else {
    Multiplication<D, DotFloat32>(context, p).run();
  }
}

}  // namespace

void matmul_product(CpuContext& context, const MatmulProduct& p) {
  const int64_t m = rows(p.x);
  if (m == 0) return;
  const OneDnnRule& rule = context.onednn_rule;
  const bool onednn =
      context.onednn != nullptr && m >= (p.w.dtype == PRECIS_INT8       ? rule.int8
                                         : p.w.dtype == PRECIS_BFLOAT16 ? rule.bfloat16
                                                                        : rule.float32);
  if (p.w.dtype == PRECIS_INT8) {
    onednn ? multiply<OneDnnInt8>(context, p) : multiply<DotInt8>(context, p);
  } else if (p.w.dtype == PRECIS_BFLOAT16) {
    onednn ? multiply<OneDnnBfloat16>(context, p) : multiply<DotBfloat16>(context, p);
  } else {
    onednn ? multiply<OneDnnFloat32>(context, p) : multiply<DotFloat32>(context, p);
  }
}

void matmul_cpu(CpuContext& context, const precis_matmul_args& a) {
  matmul_product(context,
                 {a.x, a.w, a.y, a.alpha, a.accumulate != 0, nullptr, nullptr, nullptr, 0});
}

}  // namespace PRECIS_ISA
}  // namespace precis
