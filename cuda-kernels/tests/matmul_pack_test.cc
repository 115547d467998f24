#include "device_products.h"

using namespace precis;

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(21);
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (int32_t source : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        Weights weights(random, {65, 3, 20}, 37, dtype, source);
        for (bool transposed : {false, true}) {
          precis_matmul_pack_args args = weights.args();
          args.transposed = transposed;
          DeviceWeights(device, weights, transposed).check(args, device.name());
        }
      }
    }
  });
}
