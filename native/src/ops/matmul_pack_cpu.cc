#include "context.h"
#include "cpu/dot.h"
#include "cpu/transpose.h"
#include "ops/matmul.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr int kBlock = 16;  // units, and outputs, that are transposed at a time

// Addresses of the rows of the stacked weights.
struct Source {
  const char* row[kTileOutputs];  // nullptr: padding
  bool bf16[kTileOutputs];
};

Source rows_of(const precis_matmul_pack_args& a, int64_t tile) {
  Source s;
  int64_t first = 0;  // of the current part
  int part = 0;
  for (int i = 0; i < kTileOutputs; i++) {
    const int64_t n = tile * kTileOutputs + i;
    while (part < a.weight_count && n - first >= a.weights[part].dims[0]) {
      first += a.weights[part++].dims[0];
    }
    s.row[i] = nullptr;
    if (part == a.weight_count) continue;
    s.bf16[i] = a.weights[part].dtype == PRECIS_BFLOAT16;
    s.row[i] = static_cast<const char*>(a.weights[part].data) +
               (n - first) * row_stride(a.weights[part]) * (s.bf16[i] ? 2 : 4);
  }
  return s;
}

// Reads the kBlock units of one row that begin at input k, in the packed dtype. Only int8 uses
// inverse and sum.
template <class T>
void read_units(const T* row, int64_t k, int64_t inputs, int32_t dtype, Vec inverse, uint32_t* to,
                int32_t* sum) {
  constexpr int W = Vec::kWidth;
  const T* p = row + k;
  const int64_t left = inputs - k;
  if (dtype == PRECIS_FLOAT32) {
    for (int i = 0; i < kBlock; i += W) {
      load_some(p + i, left - i).store(reinterpret_cast<float*>(to) + i);
    }
  } else if (dtype == PRECIS_BFLOAT16) {
    for (int i = 0; i < 2 * kBlock; i += W) {
      load_some(p + i, left - i).store(reinterpret_cast<uint16_t*>(to) + i);
    }
  } else {
    int8_t* bytes = reinterpret_cast<int8_t*>(to);
    for (int i = 0; i < 4 * kBlock; i += W) {
      store_bytes(quantise(load_some(p + i, left - i), inverse, 0), bytes + i);
    }
    int32_t s = 0;
    for (int i = 0; i < 4 * kBlock; i++) s += bytes[i];
    *sum += s;
  }
}

// Packs units [begin, end) of a tile. inverse has one number for each output.
void pack_units(const Source& source, int64_t inputs, int32_t dtype, int64_t unit_inputs,
                int64_t begin, int64_t end, const float* inverse, int32_t* sums, uint32_t* tile) {
  alignas(64) uint32_t block[kBlock][kBlock];
  for (int64_t u = begin; u < end; u += kBlock) {
    for (int n = 0; n < kTileOutputs; n += kBlock) {
      for (int i = 0; i < kBlock; i++) {
        const char* row = source.row[n + i];
        const int64_t k = u * unit_inputs;
        if (row == nullptr) {
          __builtin_memset(block[i], 0, sizeof block[i]);
        } else if (source.bf16[n + i]) {
          read_units(reinterpret_cast<const uint16_t*>(row), k, inputs, dtype,
                     Vec::set1(inverse[n + i]), block[i], &sums[n + i]);
        } else {
          read_units(reinterpret_cast<const float*>(row), k, inputs, dtype,
                     Vec::set1(inverse[n + i]), block[i], &sums[n + i]);
        }
      }
      for (int i = 0; i < kBlock; i += 4) {
        for (int j = 0; j < kBlock; j += 4) {
          transpose(&block[i][j], kBlock, tile + (u + j) * kTileOutputs + n + i, kTileOutputs);
        }
      }
    }
  }
}

// Returns the largest magnitude of a row, or NaN if the row contains NaN or infinity.
template <class T>
float magnitude(const T* row, int64_t inputs) {
  Vec largest = Vec::zero(), not_finite = Vec::zero();
  for (int64_t k = 0; k < inputs; k += Vec::kWidth) {
    const Vec v = load_some(row + k, inputs - k);
    largest = max(largest, max(v, Vec::zero() - v));
    not_finite = fma(v, Vec::zero(), not_finite);
  }
  return largest.largest() + not_finite.sum();
}

void pack_int8(const precis_matmul_pack_args& a, const PackedLayout& layout, int64_t tile) {
  const int64_t inputs = columns(a.weights[0]);
  const Source source = rows_of(a, tile);
  char* packed = static_cast<char*>(a.packed);
  float* scales = reinterpret_cast<float*>(packed + layout.scales) + tile * kTileOutputs;
  int32_t* sums = reinterpret_cast<int32_t*>(packed + layout.sums) + tile * kTileOutputs;
  float inverse[kTileOutputs] = {};
  for (int i = 0; i < kTileOutputs; i++) {
    scales[i] = 0;
    sums[i] = 0;
    if (source.row[i] == nullptr) continue;
    const float largest = source.bf16[i]
                              ? magnitude(reinterpret_cast<const uint16_t*>(source.row[i]), inputs)
                              : magnitude(reinterpret_cast<const float*>(source.row[i]), inputs);
    if (largest < kSmallestMagnitude) continue;
    scales[i] = largest / 127.0f;
    inverse[i] = largest == largest ? 127.0f / largest : 0.0f;
  }
  pack_units(source, inputs, PRECIS_INT8, layout.unit_inputs, 0, layout.units, inverse, sums,
             static_cast<uint32_t*>(a.packed) + tile * layout.units * kTileOutputs);
}

// Quantizes a group as matmul.h defines and returns its scale.
uint16_t quantise_group(const float* w, uint8_t* codes) {
  float magnitude = 0, largest = 0;
  bool finite = true;
  for (int i = 0; i < kInt4Group; i++) {
    const float size = __builtin_fabsf(w[i]);
    finite = finite && size <= __FLT_MAX__;
    if (size > magnitude) {
      magnitude = size;
      largest = w[i];
    }
  }
  if (!finite || magnitude < kSmallestMagnitude) {
    __builtin_memset(codes, 8, kInt4Group);
    return float_to_bf16(finite ? 0.0f : __builtin_nanf(""));
  }
  const uint16_t scale = float_to_bf16(largest / -8.0f);
  const Vec inverse = Vec::set1(1.0f / bf16_to_float(scale));
  for (int i = 0; i < kInt4Group; i += Vec::kWidth) {
    store_bytes(quantise(Vec::load(w + i), inverse, 8), reinterpret_cast<int8_t*>(codes) + i);
  }
  for (int i = 0; i < kInt4Group; i++) codes[i] = codes[i] < 15 ? codes[i] : 15;
  return scale;
}

void pack_int4(const precis_matmul_pack_args& a, const PackedLayout& layout, int64_t tile) {
  const int64_t inputs = columns(a.weights[0]);
  const Source source = rows_of(a, tile);
  auto* words = static_cast<uint32_t*>(a.packed) + tile * layout.units * layout.unit_words;
  for (int64_t k = 0; k < inputs; k += kInt4Group) {
    auto* scales = reinterpret_cast<uint16_t*>(words + kInt4GroupUnits * kTileOutputs);
    for (int n = 0; n < kTileOutputs; n++) {
      float w[kInt4Group] = {};
      const int64_t count = min(kInt4Group, inputs - k);
      auto read = [&](const auto* row) {
        for (int64_t i = 0; i < count; i += Vec::kWidth) {
          load_some(row + k + i, count - i).store(w + i);
        }
      };
      if (source.row[n] != nullptr && source.bf16[n]) {
        read(reinterpret_cast<const uint16_t*>(source.row[n]));
      } else if (source.row[n] != nullptr) {
        read(reinterpret_cast<const float*>(source.row[n]));
      }
      uint8_t codes[kInt4Group];
      scales[n] = quantise_group(w, codes);
      for (int u = 0; u < kInt4GroupUnits; u++) {
        uint32_t word = 0;
        for (int j = 0; j < 4; j++) {
          const uint32_t low = codes[8 * u + j], high = codes[8 * u + 4 + j];
          word |= (low | high << 4) << 8 * j;
        }
        words[u * kTileOutputs + n] = word;
      }
    }
    words += kInt4GroupUnits * layout.unit_words;
  }
}

// Reads outputs [n, n + count) of input k of transposed weights, and adds zeros up to a whole tile;
// all are zeros where k is padding. part and first remember where the last search for k ended.
template <class T>
void read_input(const precis_matmul_pack_args& a, int64_t k, int64_t n, int64_t count, int* part,
                int64_t* first, T* to) {
  while (*part < a.weight_count && k - *first >= a.weights[*part].dims[0]) {
    *first += a.weights[(*part)++].dims[0];
  }
  auto copy = [&](const auto* from) {
    for (int64_t i = 0; i < kTileOutputs; i += Vec::kWidth) {
      load_some(from + i, count - i).store(to + i);
    }
  };
  if (*part == a.weight_count) {
    __builtin_memset(to, 0, kTileOutputs * sizeof(T));
  } else if (a.weights[*part].dtype == PRECIS_BFLOAT16) {
    copy(row<const uint16_t>(a.weights[*part], k - *first) + n);
  } else {
    copy(row<const float>(a.weights[*part], k - *first) + n);
  }
}

// Packs units [begin, begin + kBlock) of a tile of transposed weights. An input is a row of the
// source, and its outputs are adjacent there as they are in a unit, so nothing has to be
// transposed.
void pack_inputs(const precis_matmul_pack_args& a, const PackedLayout& layout, int64_t outputs,
                 int64_t tile, int64_t begin) {
  uint32_t* to = static_cast<uint32_t*>(a.packed) + (tile * layout.units + begin) * kTileOutputs;
  const int64_t n = tile * kTileOutputs;
  const int64_t count = outputs - n < kTileOutputs ? outputs - n : kTileOutputs;
  int part = 0;
  int64_t first = 0;
  for (int64_t u = begin; u < begin + kBlock; u++, to += kTileOutputs) {
    if (a.dtype == PRECIS_FLOAT32) {
      read_input(a, u, n, count, &part, &first, reinterpret_cast<float*>(to));
      continue;
    }
    uint16_t even[kTileOutputs], odd[kTileOutputs];
    read_input(a, 2 * u, n, count, &part, &first, even);
    read_input(a, 2 * u + 1, n, count, &part, &first, odd);
    for (int i = 0; i < kTileOutputs; i++) {
      to[i] = even[i] | static_cast<uint32_t>(odd[i]) << 16;
    }
  }
}

void pack_transposed(CpuContext& context, const precis_matmul_pack_args& a) {
  const int64_t outputs = columns(a.weights[0]);
  int64_t inputs = 0;
  for (int i = 0; i < a.weight_count; i++) inputs += a.weights[i].dims[0];
  const PackedLayout layout = packed_layout(outputs, inputs, a.dtype);
  // Tiles are the inner loop, so a block of the source's rows is read from left to right.
  const int64_t items = layout.units / kBlock * layout.tiles;
  parallel_ranges(context.pool, items, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      pack_inputs(a, layout, outputs, i % layout.tiles, i / layout.tiles * kBlock);
    }
  });
}

}  // namespace

void matmul_pack_cpu(CpuContext& context, const precis_matmul_pack_args& a) {
  if (a.transposed) return pack_transposed(context, a);
  const int64_t inputs = columns(a.weights[0]);
  int64_t outputs = 0;
  for (int i = 0; i < a.weight_count; i++) outputs += a.weights[i].dims[0];
  const PackedLayout layout = packed_layout(outputs, inputs, a.dtype);
  if (a.dtype == PRECIS_INT8 || a.dtype == PRECIS_INT4) {
    const auto pack = a.dtype == PRECIS_INT8 ? pack_int8 : pack_int4;
    parallel_ranges(context.pool, layout.tiles, 1, [&](int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; tile++) pack(a, layout, tile);
    });
    return;
  }
  // The work is partitioned by blocks of units, so that even a single tile, as adapters have, keeps
  // every thread busy.
  parallel_ranges(
      context.pool, layout.tiles * layout.units, kBlock, [&](int64_t begin, int64_t end) {
        const float none[kTileOutputs] = {};
        int32_t sums[kTileOutputs] = {};
        while (begin < end) {
          const int64_t tile = begin / layout.units, first = begin % layout.units;
          int64_t last = first + (end - begin);
          if (last > layout.units) last = layout.units;
          pack_units(rows_of(a, tile), inputs, a.dtype, layout.unit_inputs, first, last, none, sums,
                     static_cast<uint32_t*>(a.packed) + tile * layout.units * kTileOutputs);
          begin += last - first;
        }
      });
}

}  // namespace PRECIS_ISA
}  // namespace precis
