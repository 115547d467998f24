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

// Interleaves the bfloat16 numbers of two outputs of W, which are one unit of the result.
void interleave(const uint16_t* even, const uint16_t* odd, uint32_t* words) {
  for (int64_t k = 0; k < kBlock; k++) words[k] = even[k] | static_cast<uint32_t>(odd[k]) << 16;
}

// A block of quantized weights. Each half of an output's inputs has a scale.
struct Quantized {
  alignas(64) int8_t codes[kBlock][kBlock];
  float scales[kBlock][2];
};
static_assert(kBlock == 2 * kInt4Group);

void read_int8(const PackedLayout& layout, const char* w, int64_t tile, int64_t unit,
               Quantized& to) {
  // The units of a tile are a multiple of those of a block.
  static_assert(kUnitMultiple * 4 == kBlock);
  const auto* words = reinterpret_cast<const uint32_t*>(w) + (tile * layout.units + unit) * kBlock;
  gather(words, kBlock / 4, reinterpret_cast<uint32_t*>(to.codes), kBlock / 4);
  const auto* scales = reinterpret_cast<const float*>(w + layout.scales) + tile * kTileOutputs;
  for (int64_t n = 0; n < kBlock; n++) to.scales[n][0] = to.scales[n][1] = scales[n];
}

void read_int4(const PackedLayout& layout, const char* w, int64_t tile, int64_t unit,
               Quantized& to) {
  for (int64_t half = 0; half < 2; half++) {
    const int64_t first = unit + half * kInt4GroupUnits;
    if (first >= layout.units) {
      for (int64_t n = 0; n < kBlock; n++) {
        __builtin_memset(to.codes[n] + half * kInt4Group, 0, kInt4Group);
        to.scales[n][half] = 0;
      }
      continue;
    }
    const auto* words =
        reinterpret_cast<const uint32_t*>(w) + (tile * layout.units + first) * layout.unit_words;
    const auto* scales = reinterpret_cast<const uint16_t*>(words + kInt4GroupUnits * kTileOutputs);
    for (int64_t n = 0; n < kBlock; n++) {
      to.scales[n][half] = bf16_to_float(scales[n]);
      int8_t* codes = to.codes[n] + half * kInt4Group;
      for (int64_t u = 0; u < kInt4GroupUnits; u++, codes += 8) {
        const uint32_t word = words[u * kTileOutputs + n];
        for (int64_t j = 0; j < 4; j++) {
          codes[j] = static_cast<int8_t>((word >> 8 * j & 15) - 8);
          codes[4 + j] = static_cast<int8_t>((word >> (8 * j + 4) & 15) - 8);
        }
      }
    }
  }
}

// to[0, kBlock) = the first `inputs` inputs of an output, and zeros: all with a positive sign, as
// padding has it.
void dequantise(const Quantized& block, int64_t n, int64_t inputs, uint16_t* to) {
  float values[kBlock];
  for (int64_t half = 0; half < 2; half++) {
    for (int64_t k = half * kInt4Group; k < (half + 1) * kInt4Group; k++) {
      values[k] = static_cast<float>(block.codes[n][k]) * block.scales[n][half] + 0.0f;
    }
  }
  for (int64_t k = inputs; k < kBlock; k++) values[k] = 0;
  for (int64_t k = 0; k < kBlock; k += Vec::kWidth) Vec::load(values + k).store(to + k);
}

void transpose_quantized(CpuContext& context, const precis_transpose_packed_args& a) {
  const PackedLayout from = packed_layout(a.w.outputs, a.w.inputs, a.w.dtype);
  const PackedLayout to = packed_layout(a.w.inputs, a.w.outputs, a.out.dtype);
  const char* w = static_cast<const char*>(a.w.data);
  uint32_t* out = static_cast<uint32_t*>(const_cast<void*>(a.out.data));
  const int64_t units = kBlock / to.unit_inputs, read = kBlock / from.unit_inputs;
  const auto read_block = a.w.dtype == PRECIS_INT8 ? read_int8 : read_int4;
  parallel_ranges(context.pool, from.tiles * to.tiles, 1, [&](int64_t begin, int64_t end) {
    Quantized block;
    for (int64_t i = begin; i < end; i++) {
      const int64_t tile = i / to.tiles, other = i % to.tiles;
      read_block(from, w, tile, other * read, block);
      uint32_t* words = out + (other * to.units + tile * units) * kTileOutputs;
      const int64_t written = least(units, to.units - tile * units);
      const int64_t inputs = least(kBlock, a.w.inputs - other * kBlock);
      for (int64_t v = 0; v < written; v++) {
        uint16_t even[kBlock], odd[kBlock];
        dequantise(block, 2 * v, inputs, even);
        dequantise(block, 2 * v + 1, inputs, odd);
        interleave(even, odd, words + v * kTileOutputs);
      }
    }
  });
}

}  // namespace

void transpose_packed_cpu(CpuContext& context, const precis_transpose_packed_args& a) {
  if (a.w.dtype != a.out.dtype) return transpose_quantized(context, a);
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
        interleave(even, even + kBlock, block + v * kTileOutputs);
      }
    }
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis
