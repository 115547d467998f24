#include "ops/transpose_packed.h"

#include "device_test.h"

using namespace precis;

namespace {

// Weights in this device's layout: row-major, padded with zeros.
void transposing(TestDevice& device, int32_t dtype, int64_t outputs, int64_t inputs,
                 Random& random) {
  const CudaPackedLayout from = cuda_packed_layout(outputs, inputs, dtype);
  const CudaPackedLayout to = cuda_packed_layout(inputs, outputs, dtype);
  GuardedTensor w(dtype, {from.rows, from.stride}), out(dtype, {to.rows, to.stride});
  w.fill(0);
  for (int64_t n = 0; n < outputs; n++) {
    for (int64_t k = 0; k < inputs; k++) store_element(w, n, k, random.normal());
  }
  OnDevice w_(w), out_(out);
  precis_transpose_packed_args args = {};
  args.w = {precis_tensor(w_).data, from.bytes, outputs, inputs, dtype, 0};
  args.out = {precis_tensor(out_).data, to.bytes, inputs, outputs, dtype, 0};
  EXPECT_RUN(device, transpose_packed_cuda(device.context(), args));
  out_.download();
  int64_t wrong = 0;
  for (int64_t k = 0; k < to.rows; k++) {
    for (int64_t n = 0; n < to.stride; n++) {
      const bool inside = n < outputs && k < inputs;
      wrong += out.at(k, n) != (inside ? w.at(n, k) : 0);
    }
  }
  EXPECT(wrong == 0, "%s: %lld x %lld: %lld wrong", device.name(), static_cast<long long>(outputs),
         static_cast<long long>(inputs), static_cast<long long>(wrong));
}

}  // namespace

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(5);
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (int64_t outputs : {1, 63, 64, 200}) {
        for (int64_t inputs : {1, 64, 65, 130}) {
          transposing(device, dtype, outputs, inputs, random);
        }
      }
    }
  });
}
