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

}  // namespace

void transpose_packed_ref(const precis_transpose_packed_args& a) {
  const int64_t outputs = a.w.outputs, inputs = a.w.inputs;
  const PackedLayout from = packed_layout(outputs, inputs, a.w.dtype);
  const PackedLayout to = packed_layout(inputs, outputs, a.w.dtype);
  const char* w = static_cast<const char*>(a.w.data);
  char* out = static_cast<char*>(const_cast<void*>(a.out.data));
  std::memset(out, 0, static_cast<size_t>(to.bytes));
  for (int64_t n = 0; n < outputs; n++) {
    for (int64_t k = 0; k < inputs; k++) {
      std::memcpy(out + place(to, k, n), w + place(from, n, k),
                  static_cast<size_t>(kUnitBytes / from.unit_inputs));
    }
  }
}

}  // namespace precis
