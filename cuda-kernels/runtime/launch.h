// Launches kernels, with CUDA's runtime or, where a C++ compiler reads the source, with the
// emulator's.
//
//   launch("name", kernel, grid, block, shared_bytes, stream, arguments...)   for <<< >>>
#ifndef PRECIS_CUDA_LAUNCH_H_
#define PRECIS_CUDA_LAUNCH_H_

#include <cstddef>
#include <cstdint>

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#else
#include "emulation.h"
#endif

#include "random/portable_math.h"

namespace precis {

// Counts what this thread gave to streams: kernels, fills and copies.
inline thread_local int64_t launches = 0;

template <class... P, class... A>
cudaError_t launch([[maybe_unused]] const char* name, void (*kernel)(P...), dim3 grid, dim3 block,
                   size_t shared_bytes, cudaStream_t stream, A... arguments) {
  launches++;
  constexpr size_t kWithoutOptIn = size_t{48} << 10;
  if (shared_bytes > kWithoutOptIn) {
    // Not once and for all: the attribute is one of the kernel on the current device.
    const cudaError_t error = cudaFuncSetAttribute(
        kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
    if (error != cudaSuccess) return error;
  }
#if defined(__CUDACC__)
  kernel<<<grid, block, shared_bytes, stream>>>(arguments...);
  return cudaGetLastError();
#else
  return emulation::submit_kernel(stream, reinterpret_cast<const void*>(kernel), shared_bytes, [=] {
    return emulation::run(name, grid, block, shared_bytes, [=] { kernel(arguments...); });
  });
#endif
}

#define PRECIS_RETURN_IF_ERROR(call)          \
  do {                                        \
    const cudaError_t error_ = (call);        \
    if (error_ != cudaSuccess) return error_; \
  } while (0)

static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline size_t round_up(size_t bytes, size_t multiple) {
  return (bytes + multiple - 1) / multiple * multiple;
}

// The number of blocks, limited to what a grid may have; a kernel launched with fewer blocks than
// there is work uses a grid-stride loop.
static inline uint32_t grid_size(int64_t blocks, int64_t max) {
  return static_cast<uint32_t>(blocks < max ? blocks : max);
}
constexpr int64_t kMaxGridY = 65535;

}  // namespace precis

#endif  // PRECIS_CUDA_LAUNCH_H_
