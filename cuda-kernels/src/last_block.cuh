// The last of some blocks to finish does what needs all their results, in the same launch.
#ifndef PRECIS_CUDA_LAST_BLOCK_CUH_
#define PRECIS_CUDA_LAST_BLOCK_CUH_

#include "device.h"

namespace precis {

// Tells all threads of a block whether it is the last of so many blocks that count here; if so, it
// sees what the others have written to global memory. *finished is 0 before the first and after the
// last of them.
__device__ __forceinline__ bool is_last_block(uint32_t* finished, uint32_t blocks) {
  PRECIS_SHARED(uint32_t, before, 1);
#if defined(__CUDACC__)
  __threadfence();  // the emulator runs blocks one after the other
#endif
  __syncthreads();
  if (thread() == 0) {
    before[0] = atomicAdd(finished, 1u);
    if (before[0] + 1 == blocks) *finished = 0;
  }
  __syncthreads();
  const bool last = before[0] + 1 == blocks;
#if defined(__CUDACC__)
  if (last) __threadfence();
#endif
  return last;
}

}  // namespace precis

#endif  // PRECIS_CUDA_LAST_BLOCK_CUH_
