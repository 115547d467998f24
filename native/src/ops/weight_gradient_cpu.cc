// Both operands are read by units of adjacent rows m, as precis_matmul reads units of k, so neither
// is transposed. In a unit the columns of one operand are broadcast, one by one; the columns of the
// other are the lanes.
//
//   panels  the columns that are broadcast, in groups of six: [chunk][group][unit][6], kChunk units
//           in a chunk; packed once, up to kPanelBytes of them at a time, by all threads
//   tile    64 columns of lanes: [unit][64]; packed by the thread that multiplies it, kChunk units
//           at a time, so that it stays in L1 for all groups
//
// Several tiles use a chunk one after the other, so that the panels are read from L2 and the
// sources of the tiles along their rows; the sums stay in L2. The lanes are the columns of x,
// unless x is narrower than a tile and dy is not, as where LoRA multiplies dy with x A'. Then they
// are the columns of dy, and dw is stored transposed.

#include "context.h"
#include "cpu/dot.h"
#include "cpu/shared_items.h"
#include "ops/weight_gradient.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr int W = Vec::kWidth;
constexpr int kLanes = 64;      // of a tile
constexpr int kGroup = 6;       // columns that are broadcast to one register tile
constexpr int64_t kChunk = 96;  // units: 24 KB of a tile
constexpr int64_t kSlice = 16;  // groups that are packed at a time
constexpr int64_t kPackUnits = 32;
constexpr int64_t kStrip = 8;         // slices whose columns are packed before those to the right
constexpr int64_t kPartGroups = 128;  // that pass by a tile
// The number of groups times tiles that are processed at a time: their sums, 576 KB, stay in L2,
// with the part's panels of one chunk beside them.
constexpr int64_t kSums = 384;
constexpr int64_t kPanelBytes = 8 << 20;

// Converts count elements and adds zeros up to a whole vector.
template <class X, class Y>
void copy_padded_row(const X* from, int64_t count, Y* to) {
  int64_t i = 0;
  for (; i + W <= count; i += W) {
    if constexpr (sizeof(X) == sizeof(Y)) {
      __builtin_memcpy(to + i, from + i, W * sizeof(X));
    } else {
      Vec::load(from + i).store(to + i);
    }
  }
  if (i < count) Vec::load(from + i, static_cast<int>(count - i)).store(to + i);
}

// Reads columns [c, c + count) of row m, with zeros up to a whole vector; rows behind the last are
// zeros.
template <class To>
void read_row(const precis_tensor& t, int64_t m, int64_t c, int64_t count, To* to) {
  if (m >= rows(t)) {
    for (int64_t i = 0; i < count; i += W) Vec::zero().store(to + i);
  } else if (t.dtype == PRECIS_BFLOAT16) {
    copy_padded_row(row<const uint16_t>(t, m) + c, count, to);
  } else {
    copy_padded_row(row<const float>(t, m) + c, count, to);
  }
}

// Prefetches columns [c, c + count) of the rows in [begin, end) that exist. It uses loads, because
// they trigger the hardware prefetcher; the prefetch instruction measured no faster than nothing.
void touch(const precis_tensor& t, int64_t begin, int64_t end, int64_t c, int64_t count) {
  const int64_t element = t.dtype == PRECIS_BFLOAT16 ? 2 : 4;
  for (int64_t m = begin; m < min(end, rows(t)); m++) {
    const volatile char* p = static_cast<const char*>(t.data) + (m * row_stride(t) + c) * element;
    for (int64_t b = 0; b < count * element; b += 64) (void)p[b];
  }
}

// Reads the words of one unit, with zeros up to a whole vector. to has room for kGroup * kSlice of
// them.
template <class D>
void read_unit(const precis_tensor& t, int64_t unit, int64_t c, int64_t count, uint32_t* to) {
  if constexpr (D::kInputs == 1) {
    read_row(t, unit, c, count, reinterpret_cast<float*>(to));
  } else {
    uint16_t even[kGroup * kSlice], odd[kGroup * kSlice];
    read_row(t, 2 * unit, c, count, even);
    read_row(t, 2 * unit + 1, c, count, odd);
    for (int64_t i = 0; i < (count + W - 1) / W * W; i++) {
      to[i] = even[i] | static_cast<uint32_t>(odd[i]) << 16;
    }
  }
}

// Stores the words of a group in the layout that D::input broadcasts.
template <class D>
void put_words(const uint32_t* words, char* to) {
  if constexpr (D::kXBytes == 4) {
    __builtin_memcpy(to, words, kGroup * 4);
  } else {
    for (int64_t i = 0; i < kGroup; i++) {
      const uint32_t pair[2] = {words[i] << 16, words[i] & 0xffff0000u};
      __builtin_memcpy(to + 8 * i, pair, 8);
    }
  }
}

// Columns [begin, end) of the broadcast operand, in groups of almost equal size.
struct Panels {
  int64_t begin, end, units;
  char* data;

  int64_t groups() const { return (end - begin + kGroup - 1) / kGroup; }
  int64_t column(int64_t group) const { return begin + slice_begin(end - begin, groups(), group); }
  template <class D>
  static int64_t bytes(int64_t groups, int64_t units) {
    return (units + kChunk - 1) / kChunk * kChunk * groups * kGroup * D::kXBytes;
  }
  template <class D>
  char* panel(int64_t group, int64_t unit) const {
    const int64_t chunk = unit / kChunk;
    return data +
           ((chunk * groups() + group) * kChunk + unit % kChunk) * kGroup * int64_t{D::kXBytes};
  }
};

template <class D>
void pack_panels(CpuContext& context, const precis_tensor& t, const Panels& p) {
  // The order is strips of columns from top to bottom, in a strip blocks of units, in a block
  // slices of groups.
  const int64_t strips = (p.groups() + kSlice * kStrip - 1) / (kSlice * kStrip);
  const int64_t blocks = (p.units + kPackUnits - 1) / kPackUnits;
  parallel_ranges(context.pool, strips * blocks * kStrip, 1, [&](int64_t first, int64_t last) {
    // Groups of fewer than six columns are copied together with the columns behind them.
    alignas(64) uint32_t words[kPackUnits][kGroup * (kSlice + 1)];
    for (int64_t item = first; item < last; item++) {
      const int64_t strip = item / kStrip / blocks, block = item / kStrip % blocks;
      const int64_t u0 = block * kPackUnits, u1 = min(u0 + kPackUnits, p.units);
      const int64_t from = min(strip * kStrip * kSlice, p.groups());
      const int64_t to = min(from + kStrip * kSlice, p.groups());
      const int64_t g0 = min(from + item % kStrip * kSlice, to), g1 = min(g0 + kSlice, to);
      const int64_t c = p.column(g0), count = p.column(g1) - c;
      // The block below is prefetched, a part of it in every slice.
      constexpr int64_t kRows = kPackUnits * D::kInputs;
      const int64_t below = (u0 + kPackUnits) * D::kInputs;
      touch(t, below + slice_begin(kRows, kStrip, item % kStrip),
            below + slice_begin(kRows, kStrip, item % kStrip + 1), p.column(from),
            p.column(to) - p.column(from));
      for (int64_t u = u0; u < u1; u++) read_unit<D>(t, u, c, count, words[u - u0]);
      for (int64_t g = g0; g < g1; g++) {
        const int64_t at = p.column(g) - c;
        char* panel = p.panel<D>(g, u0);
        for (int64_t u = u0; u < u1; u++, panel += kGroup * D::kXBytes) {
          put_words<D>(words[u - u0] + at, panel);
        }
      }
    }
  });
}

// The vectors of lanes of a register tile. Six columns, these lanes and the broadcast values fill
// the registers: 32 with AVX-512, 16 with AVX2 and NEON, and otherwise 8.
#if defined(__AVX512F__)
constexpr int kVectors = 4;
#elif defined(__AVX2__) || defined(PRECIS_NEON)
constexpr int kVectors = 2;
#else
constexpr int kVectors = 1;
#endif

// sums[r][0, kLanes) (+)= the products of column r of the panel with the lanes.
template <class D, int R>
void multiply(const char* panel, const uint32_t* tile, int64_t units, bool resume, float* sums) {
  constexpr int V = kVectors;
  for (int n = 0; n < kLanes; n += V * W) {
    Vec a[R][V];
    for (int r = 0; r < R; r++) {
      for (int v = 0; v < V; v++) {
        a[r][v] = resume ? Vec::load(sums + r * kLanes + n + v * W) : Vec::zero();
      }
    }
    const char* x = panel;
    const uint32_t* w = tile + n;
    for (int64_t u = units; u > 0; u--, w += kLanes, x += kGroup * D::kXBytes) {
      auto part = [&]<int P>() __attribute__((always_inline)) {
        decltype(D::template weights<P>(w)) b[V];
        for (int v = 0; v < V; v++) b[v] = D::template weights<P>(w + v * W);
        for (int r = 0; r < R; r++) {
          const auto xr = D::template input<P>(x + r * D::kXBytes);
          for (int v = 0; v < V; v++) a[r][v] = D::dot(a[r][v], xr, b[v]);
        }
      };
      part.template operator()<0>();
      if constexpr (D::kParts == 2) part.template operator()<1>();
    }
    for (int r = 0; r < R; r++) {
      for (int v = 0; v < V; v++) a[r][v].store(sums + r * kLanes + n + v * W);
    }
  }
}

template <class D>
void multiply_group(int64_t width, const char* panel, const uint32_t* tile, int64_t units,
                    bool resume, float* sums) {
  switch (width) {
    case 1:
      return multiply<D, 1>(panel, tile, units, resume, sums);
    case 2:
      return multiply<D, 2>(panel, tile, units, resume, sums);
    case 3:
      return multiply<D, 3>(panel, tile, units, resume, sums);
    case 4:
      return multiply<D, 4>(panel, tile, units, resume, sums);
    case 5:
      return multiply<D, 5>(panel, tile, units, resume, sums);
    default:
      return multiply<D, 6>(panel, tile, units, resume, sums);
  }
}

// to[0, count) = alpha sums (+ to)
void store_row(const float* sums, Vec alpha, bool accumulate, int64_t count, float* to) {
  for (int64_t i = 0; i < count; i += W) {
    const int n = static_cast<int>(min(W, count - i));
    Vec v = Vec::load(sums + i) * alpha;
    if (accumulate) v = v + Vec::load(to + i, n);
    v.store(to + i, n);
  }
}

// Stores the sums of count broadcast columns, from column on, with width lanes.
void store(const precis_weight_gradient_args& a, bool swapped, const float* sums, int64_t column,
           int64_t count, int64_t lane, int64_t width) {
  if (!swapped) {
    for (int64_t i = 0; i < count; i++) {
      store_row(sums + i * kLanes, Vec::set1(a.alpha), a.accumulate != 0, width,
                row<float>(a.dw, column + i) + lane);
    }
    return;
  }
  for (int64_t n = 0; n < width; n++) {
    float* to = row<float>(a.dw, lane + n) + column;
    for (int64_t i = 0; i < count; i++) {
      const float sum = a.alpha * sums[i * kLanes + n];
      to[i] = a.accumulate ? to[i] + sum : sum;
    }
  }
}

// The state of a call that its threads share.
struct Work {
  const precis_weight_gradient_args& a;
  bool swapped;
  const precis_tensor& lanes;
  Panels panels;

  int64_t width(int64_t tile) const { return min(kLanes, columns(lanes) - tile * kLanes); }
};

// Multiplies tiles [t0, t1) with groups [g0, g1).
template <class D>
void multiply_tiles(const Work& w, int64_t t0, int64_t t1, int64_t g0, int64_t g1, uint32_t* tile,
                    float* sums) {
  const Panels& p = w.panels;
  const int64_t steps = (t1 - t0) * (g1 - g0);
  const int64_t all_lanes = min(t1 * kLanes, columns(w.lanes)) - t0 * kLanes;
  int64_t u = 0;
  do {
    const int64_t some = min(kChunk, p.units - u);
    const bool last = u + some == p.units;
    const int64_t below = (u + some) * D::kInputs;
    for (int64_t t = t0; t < t1; t++) {
      const int64_t lane = t * kLanes, width = w.width(t);
      for (int64_t i = 0; i < some; i++) {
        uint32_t* to = tile + i * kLanes;
        read_unit<D>(w.lanes, u + i, lane, width, to);
        for (int64_t n = (width + W - 1) / W * W; n < kLanes; n++) to[n] = 0;
      }
      for (int64_t g = g0; g < g1; g++) {
        const int64_t step = (t - t0) * (g1 - g0) + g - g0;
        float* to = sums + step * kGroup * kLanes;
        const int64_t c = p.column(g), count = p.column(g + 1) - c;
        // The next chunk's rows are prefetched meanwhile, some of them in every step.
        touch(w.lanes, below + slice_begin(kChunk * D::kInputs, steps, step),
              below + slice_begin(kChunk * D::kInputs, steps, step + 1), t0 * kLanes, all_lanes);
        if (last && !w.swapped) touch(w.a.dw, c, c + count, lane, width);
        multiply_group<D>(count, p.panel<D>(g, u), tile, some, u > 0, to);
        if (last) store(w.a, w.swapped, to, c, count, lane, width);
      }
    }
    u += some;
  } while (u < p.units);
}

template <class D>
void run(CpuContext& context, const precis_weight_gradient_args& a) {
  const bool swapped = columns(a.x) < kLanes && columns(a.dy) > columns(a.x);
  const precis_tensor& broadcast = swapped ? a.x : a.dy;
  const precis_tensor& lanes = swapped ? a.dy : a.x;
  const int64_t units = (rows(a.x) + D::kInputs - 1) / D::kInputs;
  const int64_t tiles = (columns(lanes) + kLanes - 1) / kLanes;
  const int threads = context.pool.threads();
  // A panel holds whole slices of groups.
  int64_t most = kPanelBytes / (Panels::bytes<D>(1, units) + 1) / kSlice * kSlice;
  if (most < kSlice) most = kSlice;
  const int64_t all_groups = (columns(broadcast) + kGroup - 1) / kGroup;
  const int64_t passes = (all_groups + most - 1) / most;
  const int64_t panel_bytes = (Panels::bytes<D>(min(most, all_groups), units) + 63) / 64 * 64;
  const int64_t thread_bytes = (kChunk * kLanes + kSums * kGroup * kLanes) * 4;
  const int64_t items_at = panel_bytes + threads * thread_bytes;
  char* memory = static_cast<char*>(
      context.scratch.reserve(static_cast<size_t>(items_at + SharedItems::bytes(threads))));
  for (int64_t pass = 0; pass < passes; pass++) {
    const Work w = {a,
                    swapped,
                    lanes,
                    {slice_begin(all_groups, passes, pass) * kGroup,
                     min(slice_begin(all_groups, passes, pass + 1) * kGroup, columns(broadcast)),
                     units, memory}};
    pack_panels<D>(context, broadcast, w.panels);
    const int64_t groups = w.panels.groups();
    int64_t parts = (groups + kPartGroups - 1) / kPartGroups;
    if (tiles % threads != 0) parts = min((parts + threads - 1) / threads * threads, groups);
    SharedItems items(memory + items_at, threads, tiles * parts);
    parallel(context.pool, [&](int thread, int) {
      auto* tile = reinterpret_cast<uint32_t*>(memory + panel_bytes + thread * thread_bytes);
      float* sums = reinterpret_cast<float*>(tile + kChunk * kLanes);
      bool in_order, ahead;
      for (int64_t next = items.take(thread, &in_order); next >= 0;) {
        // Neighbors of one part go together, as many as there is room for. Those of other threads are
        // not taken ahead of time.
        const int64_t first = next, part = first / tiles, t0 = first % tiles;
        const int64_t g0 = slice_begin(groups, parts, part),
                      g1 = slice_begin(groups, parts, part + 1);
        const int64_t most = min(kSums / (g1 - g0), tiles - t0);
        int64_t count = 0;
        do {
          count++;
          ahead = in_order && count < most;
          if (ahead) next = items.take(thread, &in_order);
        } while (ahead && next == first + count);
        multiply_tiles<D>(w, t0, t0 + count, g0, g1, tile, sums);
        if (!ahead) next = items.take(thread, &in_order);
      }
    });
  }
}

}  // namespace

void weight_gradient_cpu(CpuContext& context, const precis_weight_gradient_args& a) {
  if (columns(a.dy) == 0 || columns(a.x) == 0) return;
  if (a.dtype == PRECIS_BFLOAT16) {
    run<DotBfloat16>(context, a);
  } else {
    run<DotFloat32>(context, a);
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis
