#include <cstring>

#include "ops/matmul.h"
#include "ops/transpose_packed.h"

namespace precis {
namespace {

// Byte offset of element (n, k) of a packed matrix.
int64_t place(const PackedLayout& layout, int64_t n, int64_t k) {
  const int64_t unit = (n / kTileOutputs) * layout.units + k / layout.unit_inputs;
  const int64_t word = unit * kTileOutputs + n % kTileOutputs;
  return word * kUnitBytes + k % layout.unit_inputs * (kUnitBytes / layout.unit_inputs);
}

// Returns the value of element (n, k) of a quantized matrix.
float dequantise(const precis_packed_matrix& w, int64_t n, int64_t k) {
  const PackedLayout layout = packed_layout(w.outputs, w.inputs, w.dtype);
  const char* data = static_cast<const char*>(w.data);
  if (w.dtype == PRECIS_INT8) {
    float scale;
    std::memcpy(&scale, data + layout.scales + 4 * n, 4);
    return static_cast<float>(static_cast<int8_t>(data[place(layout, n, k)])) * scale;
  }
  // The words of a group, and behind them its scales.
  const int64_t tile = n / kTileOutputs, group = k / kInt4Group, unit = k % kInt4Group / 8;
  const char* words =
      data + (tile * layout.units + group * kInt4GroupUnits) * layout.unit_words * 4;
  const char* word = words + (unit * kTileOutputs + n % kTileOutputs) * 4;
  const int code = static_cast<uint8_t>(word[k % 4]) >> (k % 8 < 4 ? 0 : 4) & 15;
  uint16_t scale;
  std::memcpy(&scale, words + kInt4GroupUnits * kTileOutputs * 4 + n % kTileOutputs * 2, 2);
  return static_cast<float>(code - 8) * bf16_to_float(scale);
}

}  // namespace

void transpose_packed_ref(const precis_transpose_packed_args& a) {
  const int64_t outputs = a.w.outputs, inputs = a.w.inputs;
  const PackedLayout from = packed_layout(outputs, inputs, a.w.dtype);
  const PackedLayout to = packed_layout(inputs, outputs, a.out.dtype);
  const char* w = static_cast<const char*>(a.w.data);
  char* out = static_cast<char*>(const_cast<void*>(a.out.data));
  std::memset(out, 0, static_cast<size_t>(to.bytes));
  for (int64_t n = 0; n < outputs; n++) {
    for (int64_t k = 0; k < inputs; k++) {
      if (a.w.dtype != a.out.dtype) {
        const uint16_t value = float_to_bf16(dequantise(a.w, n, k) + 0.0f);
        std::memcpy(out + place(to, k, n), &value, sizeof value);
        continue;
      }
      std::memcpy(out + place(to, k, n), w + place(from, n, k),
                  static_cast<size_t>(kUnitBytes / from.unit_inputs));
    }
  }
}

}  // namespace precis
