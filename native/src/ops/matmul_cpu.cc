// The schedule of the matrix product: which thread multiplies which rows with which tiles, and in
// what order, so that weights and rows are read from the caches.

#include "context.h"
#include "cpu/shared_items.h"
#include "error.h"
#include "ops/matmul.h"
#include "ops/matmul_inputs.h"
#include "ops/matmul_lora.h"
#include "ops/matmul_onednn.h"
#include "ops/matmul_outputs.h"
#include "ops/matmul_product.h"
#include "ops/matmul_tile.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr int64_t kChunkUnits = 1024;  // 256 KB of a tile, which stay in L2
// A block of rows is multiplied with one tile before the next: its 384 KB of x stay in L2.
constexpr int64_t kRowBlockBytes = 384 << 10;
constexpr int64_t kMinRowBlock = 48, kMaxRowBlock = 384;
// With this many groups of rows or more, it pays to copy the words of a tile to L1 before they are
// multiplied.
constexpr int64_t kCopyGroups = 3;
// Up to this many elements of x every thread prepares its own copy, which is cheaper than one more
// synchronization of the threads.
constexpr int64_t kPrivateInputs = 8192;

// D multiplies W, L multiplies A and B.
template <class D, class L>
class Multiplication {
 public:
  Multiplication(CpuContext& context, const MatmulProduct& p)
      : context_(context),
        p_(p),
        x_(p.x),
        low_x_(p.lora_x.data != nullptr ? p.lora_x : p.x),
        low_rank_(p.low, 0, rows(p.x), p.down),
        row_adapters_(p.row_adapters, p.row_adapter_count),
        same_x_(kSame && p.lora_x.data == nullptr) {}

  void run() {
    if constexpr (is_onednn<D>()) {
      run_at_once();
      if (__atomic_load_n(&onednn_failed_, __ATOMIC_RELAXED)) {
        fail(PRECIS_INTERNAL_ERROR, "matmul: oneDNN could not multiply");
      }
    } else {
      rows(p_.x) < kManyRows || row_adapters_.any() ? run_at_once() : run_by_blocks();
    }
  }

 private:
  // True if W and A take x in the same format.
  static constexpr bool kSame = D::kInputs == L::kInputs && D::kXBytes == L::kXBytes;
  // True if the low-rank sums can continue in the registers of x W'.
  static constexpr bool kFused = kSame && !is_onednn<D>();

  // True if copies of words are faster: where they are unpacked for multiplications of floats, or are
  // read in several passes, each of which needs one cache line in four. Beside products of integers,
  // which take two instructions, it counts little.
  static constexpr bool kCopies = D::kInputs == 1   ? passes_for(kMaxRows) > 1
                                  : D::kInputs == 2 ? D::kParts == 2
                                                    : false;

  using Segments = typename LowRank<L>::Segments;

  // For few rows, and for oneDNN, whose products need all of them: the threads first prepare x and
  // x A' together, and then multiply. Each streams its part of the weights from memory, until it has
  // none.
  void run_at_once() {
    const int64_t m = rows(p_.x);
    const int threads = context_.pool.threads();
    const bool low_rank = low_rank_.any() || row_adapters_.any();
    const bool own_low_x = low_rank && !same_x_;
    const bool shared = threads == 1 || m * columns(p_.x) > kPrivateInputs;
    ScratchLayout layout;
    const int64_t x_size = round_up(x_.bytes(m), 64);
    const int64_t x_at = layout.add(x_size * (shared ? 1 : threads));
    const int64_t low_x_at = own_low_x ? layout.add(low_x_.bytes(m)) : 0;
    Segments low = low_rank_.layout(layout, m);
    if (row_adapters_.any()) {
      row_adapters_.layout(layout,
                           static_cast<Segments*>(context_.outer.reserve(
                               static_cast<size_t>(p_.row_adapter_count) * sizeof(Segments))));
    }
    const int64_t acc_size =
        (is_onednn<D>() ? OneDnnProducts::kSums : kMaxRowBlock * kTileOutputs) * 4;
    const int64_t acc_at = layout.add(acc_size * threads);
    const int64_t items_at = layout.add(SharedItems::bytes(threads));
    if constexpr (is_onednn<D>()) {
      onednn_.prepare(*context_.onednn, p_.w, m, x_.stride * D::kInputs / D::kXBytes, threads);
    }
    char* memory =
        static_cast<char*>(context_.scratch.reserve(static_cast<size_t>(layout.bytes())));
    x_.place(memory + x_at, 0, m);
    if (own_low_x) low_x_.place(memory + low_x_at, 0, m);
    low_rank_.place(low, memory, 0);
    row_adapters_.place(memory);
    if ((shared && !x_.direct) || own_low_x) {
      parallel_ranges(context_.pool, m, 1 + kPrivateInputs / columns(p_.x),
                      [&](int64_t begin, int64_t end) {
                        if (shared) x_.prepare(begin, end);
                        if (own_low_x) low_x_.prepare(begin, end);
                      });
    }
    if (low_rank) {
      if (same_x_ && !shared) x_.prepare(0, m);
      project(same_x_ ? x_.inputs() : low_x_.inputs(), low, memory + acc_at, acc_size);
    }
    SharedItems items(memory + items_at, threads, count_items(threads));
    parallel(context_.pool, [&](int thread, int count) {
      Preparation<D> own = x_;
      if (!shared) {
        own.place(memory + x_at + thread * x_size, 0, m);
        if (!(low_rank && same_x_ && thread == 0)) own.prepare(0, m);
      }
      auto* acc = reinterpret_cast<uint32_t*>(memory + acc_at + thread * acc_size);
      if constexpr (is_onednn<D>()) {
        const Inputs x = own.inputs();
        const bool done = onednn_.multiply(
            thread, count, [&](int64_t row) { return x.row(row); }, acc,
            [&](int64_t tile, int64_t row, int rows, uint32_t* sums) {
              finish(x, low, 0, tile, row, rows, sums);
            });
        if (!done) __atomic_store_n(&onednn_failed_, true, __ATOMIC_RELAXED);
      } else {
        work(items, thread, count, [&](int64_t tile, int64_t m0, int64_t m1, bool more) {
          multiply_block(own.inputs(), low, tile, m0, m1, more, acc);
        });
      }
    });
  }

  // For many rows: a thread prepares a block of rows, multiplies it with A, and then with the tiles
  // of W, while the block stays in its L2. It has blocks of its own until another thread has none.
  void run_by_blocks() {
    const int64_t m = rows(p_.x);
    const int threads = context_.pool.threads();
    const bool own_low_x = low_rank_.any() && !same_x_;
    const int64_t most = ceil_div(m, count_blocks(threads));
    ScratchLayout layout;
    const int64_t x_at = layout.add(x_.bytes(most));
    const int64_t low_x_at = own_low_x ? layout.add(low_x_.bytes(most)) : 0;
    const Segments places = low_rank_.layout(layout, most);
    const int64_t acc_at = layout.add(kMaxRowBlock * kTileOutputs * 4);
    const int64_t blank_at = low_rank_.any() ? layout.add(low_rank_.blank_bytes()) : 0;
    const int64_t own_bytes = layout.bytes() * threads;
    char* memory = static_cast<char*>(
        context_.scratch.reserve(static_cast<size_t>(own_bytes + SharedItems::bytes(threads))));
    SharedItems items(memory + own_bytes, threads, count_items(threads));
    parallel(context_.pool, [&](int thread, int count) {
      char* own = memory + thread * layout.bytes();
      auto* acc = reinterpret_cast<uint32_t*>(own + acc_at);
      Preparation<D> x = x_;
      Preparation<L> low_x = low_x_;
      Segments low = places;
      uint8_t* blank = reinterpret_cast<uint8_t*>(own + blank_at);
      if (low_rank_.any()) low_rank_.find_blanks(blank);
      int64_t current = -1;
      work(items, thread, count, [&](int64_t tile, int64_t m0, int64_t m1, bool more) {
        // Another thread may have other tiles of this block: only the one with tile 0 writes down.
        const bool writes_down = tile == 0 && low_rank_.any();
        if (m0 != current || writes_down) {
          current = m0;
          x.place(own + x_at, m0, most);
          x.prepare(m0, m1);
          if (own_low_x) {
            low_x.place(own + low_x_at, m0, most);
            low_x.prepare(m0, m1);
          }
          low_rank_.place(low, own, m0);
          if (low_rank_.any()) {
            low_rank_.project_rows(same_x_ ? x.inputs() : low_x.inputs(), low, m0, m1, writes_down,
                                   blank, acc);
          }
        }
        multiply_block(x.inputs(), low, tile, m0, m1, more, acc);
      });
    });
  }

  // Computes x A' . s of all rows, or of those that have adapters of their own.
  void project(const Inputs& x, const Segments& low, char* memory, int64_t acc_size) const {
    parallel(context_.pool, [&](int thread, int threads) {
      auto* acc = reinterpret_cast<uint32_t*>(memory + thread * acc_size);
      const int64_t items = low_rank_.items(threads);
      const int64_t last = slice_begin(items, threads, thread + 1);
      for (int64_t i = slice_begin(items, threads, thread); i < last; i++) {
        low_rank_.project(threads, i, x, low, acc);
      }
      row_adapters_.project(x, thread, threads, acc);
    });
  }

  // int4 has whole groups of units.
  int64_t units() const {
    constexpr int64_t kMultiple = D::kInputs == 8 ? kInt4GroupUnits : 1;
    return ceil_div(p_.w.inputs, D::kInputs * kMultiple) * kMultiple;
  }

  int64_t tiles() const { return ceil_div(p_.w.outputs, kTileOutputs); }

  // The blocks of rows that are multiplied with a tile one after the other.
  int64_t count_blocks(int threads) const {
    const int64_t m = rows(p_.x), tiles = this->tiles();
    int64_t block_rows = kRowBlockBytes / (units() * D::kXBytes);
    if (block_rows < kMinRowBlock) block_rows = kMinRowBlock;
    if (block_rows > kMaxRowBlock) block_rows = kMaxRowBlock;
    while (block_rows > kMaxRows && tiles * ceil_div(m, block_rows) < 4 * threads) {
      block_rows /= 2;
    }
    return ceil_div(m, block_rows);
  }

  int64_t count_items(int threads) const { return tiles() * count_blocks(threads); }

  // Iterates over the items of one thread, a block of rows and a tile each, with blocks as the outer
  // loop: with many rows x stays in L2 from tile to tile. Calls f(tile, first row, last row, more),
  // where more says that another tile follows.
  template <class F>
  void work(SharedItems& items, int thread, int threads, const F& f) const {
    const int64_t m = rows(p_.x), tiles = this->tiles(), blocks = count_blocks(threads);
    bool more = false;
    for (int64_t item; (item = items.take(thread, &more)) >= 0;) {
      const int64_t block = item / tiles;
      f(item % tiles, slice_begin(m, blocks, block), slice_begin(m, blocks, block + 1), more);
    }
  }

  // Multiplies rows [m0, m1) with one tile. more says that another tile follows.
  void multiply_block(const Inputs& x, const Segments& low, int64_t tile, int64_t m0, int64_t m1,
                      bool more, uint32_t* acc) const {
    const PackedLayout layout = packed_layout(p_.w.outputs, p_.w.inputs, p_.w.dtype);
    const int64_t units = this->units();
    const uint32_t* w =
        static_cast<const uint32_t*>(p_.w.data) + tile * layout.units * layout.unit_words;
    const int64_t groups = ceil_div(m1 - m0, kMaxRows);
    // Segments that cover the whole tile, up to the first that covers a part of it, are fused.
    int fused = 0;
    if constexpr (kFused) {
      while (fused < p_.low.segment_count &&
             overlap(p_.w.outputs, p_.low.segments[fused], tile) != Overlap::kPart) {
        fused++;
      }
    }
    for (int i = 0; i < p_.low.segment_count; i++) {
      if (overlap(p_.w.outputs, p_.low.segments[i], tile) == Overlap::kNone) continue;
      const Term term = segment_term(*p_.low.b, low.of[i], tile, m0);
      for (int64_t u = 0; u < term.units * kTileOutputs; u += 16) __builtin_prefetch(term.w + u);
    }
    // Adds the low-rank terms of the fused segments, behind the n terms that there are.
    const auto add_fused = [&](int64_t row, Term* terms, int n) {
      for (int i = 0; i < fused; i++) {
        if (overlap(p_.w.outputs, p_.low.segments[i], tile) == Overlap::kNone) continue;
        terms[n++] = segment_term(*p_.low.b, low.of[i], tile, row);
      }
      return n;
    };
    if constexpr (kCopies) {
      if (groups >= kCopyGroups) {
        sum_copied(x, w, m0, m1, more, acc);
        for (int64_t g = 0; g < groups; g++) {
          const int64_t first = slice_begin(m1 - m0, groups, g), row = m0 + first;
          const int rows = static_cast<int>(slice_begin(m1 - m0, groups, g + 1) - first);
          uint32_t* sums = acc + first * kTileOutputs;
          row_adapters_.prefetch(tile, row, rows);
          Term terms[PRECIS_MAX_LORA_SEGMENTS];
          const int n = add_fused(row, terms, 0);
          if (n > 0) multiply_rows<D>(rows, terms, n, true, sums);
          finish(x, low, fused, tile, row, rows, sums);
        }
        return;
      }
    }
    for (int64_t u = 0; u < units; u += kChunkUnits) {
      const int64_t count = min(kChunkUnits, units - u);
      const bool last_chunk = u + count == units;
      // Several groups of rows use a chunk of weights from L2. Meanwhile the next chunk is
      // prefetched: half of it in each of the first two, or all where there is one group.
      const bool ahead = more || !last_chunk;
      for (int64_t g = 0; g < groups; g++) {
        const int64_t first = slice_begin(m1 - m0, groups, g), row = m0 + first;
        const int rows = static_cast<int>(slice_begin(m1 - m0, groups, g + 1) - first);
        // Sums that continue in the next chunk need memory of their own; else one buffer stays in
        // L1.
        uint32_t* sums = units > kChunkUnits ? acc + first * kTileOutputs : acc;
        if (last_chunk) row_adapters_.prefetch(tile, row, rows);
        Term terms[1 + PRECIS_MAX_LORA_SEGMENTS] = {
            {x.row(row) + u * D::kXBytes, x.stride, w + u * unit_words<D>(), count}};
        const int n = last_chunk ? add_fused(row, terms, 1) : 1;
        const char* next =
            ahead && g < 2 ? ahead_of<D>(w + (u + count) * unit_words<D>(), count, g) : nullptr;
        multiply_rows<D>(rows, terms, n, u > 0, next, groups == 1, sums);
        if (last_chunk) finish(x, low, fused, tile, row, rows, sums);
      }
    }
  }

  // Computes x W' of rows [m0, m1) and one tile, whose words are copied once for all rows. While
  // the first group of rows is multiplied, the words that follow are prefetched.
  void sum_copied(const Inputs& x, const uint32_t* w, int64_t m0, int64_t m1, bool more,
                  uint32_t* acc) const {
    constexpr int V = vectors_for(kMaxRows), kPasses = passes_for(kMaxRows);
    // Rows of a group: all are of almost the same size.
    constexpr int kFewest = (kMaxRows * (kCopyGroups - 1) + 1) / kCopyGroups;
    // Of the following words, each of the first two groups prefetches half in all passes together.
    constexpr int kStep = kUnitSize<D> / 2 / kPasses, kLines = (kStep + 63) / 64;
    using Words = CopiedWords<D, V>;
    alignas(64) float copied[Words::kUnits * Words::kUnit];
    const int64_t units = this->units(), groups = ceil_div(m1 - m0, kMaxRows);
    for (int64_t u = 0; u < units; u += Words::kUnits) {
      const int64_t count = min(Words::kUnits, units - u);
      const bool ahead = more || u + count < units;
      const uint32_t* from = w + u * kTileOutputs;
      const char* next = reinterpret_cast<const char*>(from + count * kTileOutputs);
      for (int pass = 0; pass < kPasses; pass++) {
        Words::copy(from + pass * V * W, count, copied);
        for (int64_t g = 0; g < groups; g++) {
          const int64_t first = slice_begin(m1 - m0, groups, g);
          const int rows = static_cast<int>(slice_begin(m1 - m0, groups, g + 1) - first);
          const Term term = {x.row(m0 + first) + u * D::kXBytes, x.stride,
                             reinterpret_cast<const uint32_t*>(copied), count};
          uint32_t* sums = acc + first * kTileOutputs + pass * V * W;
          with_rows(rows, [&]<int R>() {
            if constexpr (R >= kFewest) {
              if (g < 2 && ahead) {
                multiply_tile<D, R, V, kLines, kStep, Words>(&term, 1, V * W, u > 0, next, sums);
                next += count * kStep;
              } else {
                multiply_tile<D, R, V, 0, 0, Words>(&term, 1, V * W, u > 0, nullptr, sums);
              }
            }
          });
        }
      }
    }
  }

  // The epilogue: dequantizes the sums of x W', adds the segments that are not fused, stores y.
  void finish(const Inputs& x, const Segments& low, int segment, int64_t tile, int64_t m, int rows,
              uint32_t* acc) const {
    if constexpr (D::kInputs == 4) {
      const PackedLayout layout = packed_layout(p_.w.outputs, p_.w.inputs, p_.w.dtype);
      const char* w = static_cast<const char*>(p_.w.data);
      dequantise<D>(acc, rows, x, m,
                    static_cast<const uint32_t*>(p_.w.data) + tile * layout.units * kTileOutputs,
                    reinterpret_cast<const float*>(w + layout.scales) + tile * kTileOutputs,
                    reinterpret_cast<const int32_t*>(w + layout.sums) + tile * kTileOutputs);
    }
    low_rank_.add(low, segment, tile, m, rows, acc);
    row_adapters_.add(tile, m, rows, acc);
    store_rows(p_, acc, m, rows, tile * kTileOutputs);
  }

  CpuContext& context_;
  const MatmulProduct& p_;
  Preparation<D> x_;
  Preparation<L> low_x_;
  LowRank<L> low_rank_;
  RowAdapters<L> row_adapters_;
  bool same_x_;  // A multiplies the same prepared x as W
  OneDnnProducts onednn_;
  bool onednn_failed_ = false;
};

template <class D>
void multiply(CpuContext& context, const MatmulProduct& p) {
  if (p.low.a != nullptr && p.low.a->dtype == PRECIS_BFLOAT16) {
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
  const bool onednn = context.onednn != nullptr && p.w.dtype != PRECIS_INT4 &&
                      m >= (p.w.dtype == PRECIS_INT8       ? rule.int8
                            : p.w.dtype == PRECIS_BFLOAT16 ? rule.bfloat16
                                                           : rule.float32);
  if (p.w.dtype == PRECIS_INT4) {
    multiply<DotInt4>(context, p);
  } else if (p.w.dtype == PRECIS_INT8) {
    onednn ? multiply<OneDnnInt8>(context, p) : multiply<DotInt8>(context, p);
  } else if (p.w.dtype == PRECIS_BFLOAT16) {
    onednn ? multiply<OneDnnBfloat16>(context, p) : multiply<DotBfloat16>(context, p);
  } else {
    onednn ? multiply<OneDnnFloat32>(context, p) : multiply<DotFloat32>(context, p);
  }
}

void matmul_cpu(CpuContext& context, const precis_matmul_args& a) {
  matmul_product(context, {a.x, a.w, a.y, a.alpha, a.accumulate != 0});
}

}  // namespace PRECIS_ISA
}  // namespace precis
