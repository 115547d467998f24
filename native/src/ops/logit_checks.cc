#include "ops/logit_checks.h"

#include "ops/linear_cross_entropy.h"

namespace precis {

void check_logit_rows(const Check& check, const precis_tensor& x, const precis_packed_matrix& w,
                      const precis_packed_matrix& w_transposed, const char* labels_name,
                      const precis_tensor& labels, const precis_tensor& dx, const precis_tensor& dw,
                      float scale) {
  check.tensor("x", x, 2, kFloats);
  check.packed("w", w, kFloats);
  check.tensor(labels_name, labels, 1, kInt32);
  check.dim("x", x, 1, w.inputs, "w's number of inputs");
  check.dim(labels_name, labels, 0, x.dims[0], "x's number of rows");
  check.that(w.outputs <= INT32_MAX, "w has ", w.outputs, " outputs");
  if (dx.data != nullptr) {
    check.tensor("dx", dx, 2, kFloat32);
    check.same_dims("dx", dx, "x", x);
    check.packed("w_transposed", w_transposed, Dtypes(w.dtype));
    check.that(w_transposed.outputs == w.inputs && w_transposed.inputs == w.outputs,
               "w_transposed has ", w_transposed.outputs, " outputs and ", w_transposed.inputs,
               " inputs, but w has ", w.outputs, " and ", w.inputs);
  }
  if (dw.data != nullptr) {
    check.tensor("dw", dw, 2, kFloat32);
    check.dim("dw", dw, 0, w.outputs, "w's number of outputs");
    check.dim("dw", dw, 1, w.inputs, "w's number of inputs");
  }
  check.finite("scale", scale);
  if (check.reach(labels_name, labels.data, Memory(labels_name, labels).bytes()) != Reach::kBoth) {
    return;  // the kernel checks them
  }
  const int32_t* label = static_cast<const int32_t*>(labels.data);
  for (int64_t m = 0; m < labels.dims[0]; m++) {
    check.that(label[m] == kIgnoredLabel || (label[m] >= 0 && label[m] < w.outputs), labels_name,
               "[", m, "] is ", label[m], ", but the vocabulary has ", w.outputs, " tokens");
  }
}

Memory transposed_memory(const Check& check, const precis_packed_matrix& w_transposed,
                         const precis_tensor& dx) {
  if (dx.data == nullptr) return {"w_transposed", static_cast<const char*>(nullptr), 0};
  return check.memory("w_transposed", w_transposed);
}

}  // namespace precis
