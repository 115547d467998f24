// Dropout inside other kernels; native/src/random/dropout_mask.h defines the mask.
#ifndef PRECIS_CUDA_DROPOUT_CUH_
#define PRECIS_CUDA_DROPOUT_CUH_

#include "device.h"
#include "random/dropout_mask.h"

namespace precis {

// Returns the random words of four elements by one call of Philox: those of the group of 64 around
// index whose position in the group is index modulo 16, plus 0, 16, 32 and 48.
__device__ __forceinline__ Philox dropout_philox(uint64_t seed, uint64_t offset, uint64_t index) {
  return philox4x32_10(dropout_counter(offset, index), static_cast<uint32_t>(seed),
                       static_cast<uint32_t>(seed >> 32));
}

// The factor of elements that are kept: 1 / (1 - probability).
static inline float dropout_scale(float probability) {
  return static_cast<float>(1 / (1 - double{probability}));
}

}  // namespace precis

#endif  // PRECIS_CUDA_DROPOUT_CUH_
