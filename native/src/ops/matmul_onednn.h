// The part of matmul that oneDNN computes: the formats of x that it takes, and its products by
// blocks of rows and slices of tiles.
#ifndef PRECIS_OPS_MATMUL_ONEDNN_H_
#define PRECIS_OPS_MATMUL_ONEDNN_H_

#include "context.h"
#include "ops/matmul_tile.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

// The formats of x that oneDNN takes, for any instruction set.
struct OneDnnFloat32 {
  static constexpr int32_t kX = PRECIS_FLOAT32;
  static constexpr int kInputs = 1, kXBytes = 4;
};
struct OneDnnBfloat16 {
  static constexpr int32_t kX = PRECIS_BFLOAT16;
  static constexpr int kInputs = 2, kXBytes = 4;
};
struct OneDnnInt8 : UnsignedInputs {};

// Products are made for these numbers of rows and for at most kOneDnnTiles tiles: 256 KB of sums. A
// block of fewer rows is multiplied together with the padding behind it in scratch memory.
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

// The matrix product by oneDNN. Its rows in blocks and its tiles in slices are partitioned over the
// threads.
class OneDnnProducts {
 public:
  // Creates the oneDNN products of m rows, x_stride elements apart, with w in advance: threads must
  // not look up or create any while they run.
  void prepare(OneDnn& onednn, const precis_packed_matrix& w, int64_t m, int64_t x_stride,
               int threads) {
    onednn_ = &onednn;
    w_ = w;
    m_ = m;
    partition(threads);
    onednn.release_surplus();
    const int64_t tiles[2] = {tiles_ / slices_, ceil_div(tiles_, slices_)};
    const int64_t blocks[2] = {0, row_blocks_ - 1};
    for (int b = 0; b < 2; b++) {
      for (int t = 0; t < 2; t++) {
        products_[b][t] = onednn.product(onednn_rows(block_rows(blocks[b])), tiles[t], w.inputs,
                                         x_stride, w.dtype);
      }
    }
  }

  // Computes one thread's slice. x_row(m) returns row m of x; finish(tile, m, rows, acc) receives
  // the sums of up to kMaxRows rows from m on and one tile. acc has room for kSums of them. Returns
  // false where oneDNN failed.
  template <class Row, class Finish>
  bool multiply(int thread, int threads, const Row& x_row, uint32_t* acc,
                const Finish& finish) const {
    const PackedLayout layout = packed_layout(w_.outputs, w_.inputs, w_.dtype);
    const int64_t items = slices_ * row_blocks_;
    const int64_t last = slice_begin(items, threads, thread + 1);
    uint32_t* sums = acc + kMaxRows * kTileOutputs;
    for (int64_t item = slice_begin(items, threads, thread); item < last; item++) {
      const int64_t slice = item / row_blocks_, block = item % row_blocks_;
      const int64_t tile = slice_begin(tiles_, slices_, slice);
      const int64_t tiles = slice_begin(tiles_, slices_, slice + 1) - tile;
      const int64_t m0 = block * kOneDnnMaxRows, count = block_rows(block);
      precis_onednn_product* product =
          products_[block == row_blocks_ - 1][tiles != tiles_ / slices_];
      const uint32_t* w =
          static_cast<const uint32_t*>(w_.data) + tile * layout.units * kTileOutputs;
      if (!onednn_->multiply(product, thread, x_row(m0), w, sums)) return false;
      for (int64_t r = 0; r < count; r += kMaxRows) {
        const int some = static_cast<int>(min(kMaxRows, count - r));
        for (int64_t t = 0; t < tiles; t++) {
          for (int i = 0; i < some; i++) {
            __builtin_memcpy(acc + i * kTileOutputs, sums + ((r + i) * tiles + t) * kTileOutputs,
                             kTileOutputs * 4);
          }
          finish(tile + t, m0 + r, some, acc);
        }
      }
    }
    return true;
  }

  // The sums of one thread, in words.
  static constexpr int64_t kSums = (kOneDnnMaxRows * kOneDnnTiles + kMaxRows) * kTileOutputs;

 private:
  // Partitions the work into slices of tiles by blocks of rows, of two sizes each at most.
  void partition(int threads) {
    tiles_ = packed_layout(w_.outputs, w_.inputs, w_.dtype).tiles;
    row_blocks_ = ceil_div(m_, kOneDnnMaxRows);
    slices_ = ceil_div(tiles_, kOneDnnTiles);
    // Every thread gets an equal slice where the tiles allow it.
    if (row_blocks_ % threads != 0) slices_ = round_up(slices_, threads);
    slices_ = min(slices_, tiles_);
  }
  // All blocks but the last are full.
  int64_t block_rows(int64_t block) const {
    return min(kOneDnnMaxRows, m_ - block * kOneDnnMaxRows);
  }

  OneDnn* onednn_;
  precis_packed_matrix w_;
  int64_t m_, tiles_, slices_, row_blocks_;
  precis_onednn_product* products_[2][2];  // by: last block of rows, larger slice
};

}  // namespace
}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_OPS_MATMUL_ONEDNN_H_
