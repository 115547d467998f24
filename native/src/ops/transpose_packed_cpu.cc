#include "context.h"
#include "cpu/transpose.h"
#include "cpu/vec.h"
#include "ops/matmul.h"
#include "ops/transpose_packed.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

// A block of 64 outputs of W by 64 of its inputs is contiguous in both matrices: it is some units
// of one tile in each.
constexpr int64_t kBlock = kTileOutputs;

// Transposes `units` units, a multiple of 4, of one tile: row n of `rows` receives the words of
// output n.
void gather(const uint32_t* from, int64_t units, uint32_t* rows, int64_t stride) {
  for (int64_t u = 0; u < units; u += 4) {
    for (int64_t n = 0; n < kBlock; n += 4) {
      transpose(from + u * kTileOutputs + n, kTileOutputs, rows + n * stride + u, stride);
    }
  }
}

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

}  // namespace

void transpose_packed_cpu(CpuContext& context, const precis_transpose_packed_args& a) {
  const PackedLayout from = packed_layout(a.w.outputs, a.w.inputs, a.w.dtype);
  const PackedLayout to = packed_layout(a.w.inputs, a.w.outputs, a.w.dtype);
  const uint32_t* w = static_cast<const uint32_t*>(a.w.data);
  uint32_t* out = static_cast<uint32_t*>(const_cast<void*>(a.out.data));
  // The number of units in a block of either matrix.
  const int64_t units = kBlock / from.unit_inputs;
  parallel_ranges(context.pool, from.tiles * to.tiles, 1, [&](int64_t begin, int64_t end) {
    alignas(64) uint32_t rows[kBlock * kBlock];
    for (int64_t i = begin; i < end; i++) {
      // Neighbors in i read one tile of W from top to bottom.
      const int64_t tile = i / to.tiles, other = i % to.tiles;
      const int64_t read = least(units, from.units - other * units);
      const int64_t written = least(units, to.units - tile * units);
      // The last block of a tile may be short; the result is padded with zeros.
      if (read < units) __builtin_memset(rows, 0, sizeof rows);
      gather(w + (tile * from.units + other * units) * kTileOutputs, read, rows, units);
      uint32_t* block = out + (other * to.units + tile * units) * kTileOutputs;
      if (from.unit_inputs == 1) {
        __builtin_memcpy(block, rows, static_cast<size_t>(written * kBlock * kUnitBytes));
        continue;
      }
      const uint16_t* halves = reinterpret_cast<const uint16_t*>(rows);
      for (int64_t v = 0; v < written; v++) {
        const uint16_t* even = halves + 2 * v * kBlock;
        const uint16_t* odd = even + kBlock;
        uint32_t* words = block + v * kTileOutputs;
        for (int64_t k = 0; k < kBlock; k++) {
          words[k] = even[k] | static_cast<uint32_t>(odd[k]) << 16;
        }
      }
    }
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis
