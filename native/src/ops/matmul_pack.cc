#include <cstdio>

#include "check.h"
#include "ops/matmul.h"

namespace precis {
namespace {

// The name of weights[i] in error messages.
struct WeightName {
  explicit WeightName(int i) { std::snprintf(text, sizeof text, "weights[%d]", i); }
  char text[24];
};

}  // namespace

int64_t check_packed_size(const Check& check, const precis_matmul_pack_args& a) {
  check.that(a.weight_count >= 1 && a.weight_count <= PRECIS_MAX_STACKED_WEIGHTS,
             "weight_count is ", a.weight_count, ", not between 1 and ",
             PRECIS_MAX_STACKED_WEIGHTS);
  check.dtype("packed", a.dtype, kFloats | kInt8 | kInt4);
  check.that(!a.transposed || kFloats.has(a.dtype), dtype_name(a.dtype),
             " weights cannot come transposed");
  // The weights are stacked along the first dimension and must agree in the second.
  const char* common = a.transposed ? "outputs" : "inputs";
  const precis_tensor& first = a.weights[0];
  int64_t stacked = 0;
  for (int i = 0; i < a.weight_count; i++) {
    const WeightName name(i);
    const precis_tensor& w = a.weights[i];
    check.that(w.rank == 2, name.text, " has rank ", w.rank, ", not 2");
    check.dtype(name.text, w.dtype, kFloats);
    check.that(
        w.dims[0] > 0 && w.dims[1] > 0 && w.dims[0] <= kMaxPackedDim && w.dims[1] <= kMaxPackedDim,
        name.text, " is ", w.dims[0], " x ", w.dims[1]);
    check.that(w.dims[1] == first.dims[1], name.text, " has ", w.dims[1], " ", common,
               ", but weights[0] has ", first.dims[1]);
    stacked += w.dims[0];
  }
  const int64_t outputs = a.transposed ? first.dims[1] : stacked;
  const int64_t inputs = a.transposed ? stacked : first.dims[1];
  check.that(outputs <= kMaxPackedElements / inputs, "the weights are too large");
  check.that(inputs <= kMaxPackedDim, "the weights have ", inputs, " inputs");
  check.that(a.dtype != PRECIS_INT8 || inputs <= kMaxInt8Inputs, "int8 weights have at most ",
             kMaxInt8Inputs, " inputs, not ", inputs);
  return check.backend().packed_bytes(outputs, inputs, a.dtype);
}

void check_matmul_pack(const Check& check, const precis_matmul_pack_args& a) {
  const int64_t bytes = check_packed_size(check, a);
  check.not_recording();
  for (int i = 0; i < a.weight_count; i++) {
    check.tensor_anywhere(WeightName(i).text, a.weights[i], 2, kFloats);
  }
  check.that(a.packed != nullptr && reinterpret_cast<uintptr_t>(a.packed) % 64 == 0, "packed is ",
             a.packed, ", which is not aligned to 64 bytes");
  check.that(a.packed_bytes >= bytes, "packed_bytes is ", a.packed_bytes, ", but ", bytes,
             " are needed");
  check.reach("packed", a.packed, bytes);
  for (int i = 0; i < a.weight_count; i++) {
    const WeightName name(i);
    check.apart({"packed", static_cast<const char*>(a.packed), bytes}, {name.text, a.weights[i]});
  }
}

}  // namespace precis
