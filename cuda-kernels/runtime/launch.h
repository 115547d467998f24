// Launches kernels, with CUDA's runtime or, where a C++ compiler reads the source, with the
// emulator's.
//
//   launch("name", kernel, grid, block, shared_bytes, stream, arguments...)   for <<< >>>
//   launch_dependent(context, "name", kernel, grid, block, shared_bytes, arguments...)
//                                                         for kernels of a decoding step
// cuda_context.h has the second.
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

// Returns whether a kernel's code was made for GPUs of compute capability 9.0 or later, which have
// clusters and dependent launches. The GPU at hand may have them, and the code not.
template <class... P>
bool is_for_sm90([[maybe_unused]] void (*kernel)(P...)) {
#if defined(__CUDACC__)
  constexpr int kSm90 = 90;
  cudaFuncAttributes attributes;
  if (cudaFuncGetAttributes(&attributes, kernel) != cudaSuccess) {
    (void)cudaGetLastError();  // the launch has the same one
    return false;
  }
  return attributes.ptxVersion >= kSm90;
#else
  return emulation::is_sm90();
#endif
}

constexpr int kMostClusterBlocks = 8;  // on every GPU that has clusters

// Returns the most blocks of a cluster of a kernel.
template <class... P>
int most_cluster_blocks(void (*kernel)(P...)) {
  return is_for_sm90(kernel) ? kMostClusterBlocks : 1;
}

// Blocks of a cluster along x; whether the kernel may begin before the one before it has ended.
struct LaunchKind {
  uint32_t cluster = 1;
  bool dependent = false;
};

template <class... P, class... A>
cudaError_t launch_as(LaunchKind kind, [[maybe_unused]] const char* name, void (*kernel)(P...),
                      dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                      A... arguments) {
  launches++;
  constexpr size_t kWithoutOptIn = size_t{48} << 10;
  if (shared_bytes > kWithoutOptIn) {
    // Not once and for all: the attribute is one of the kernel on the current device.
    const cudaError_t error = cudaFuncSetAttribute(
        kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
    if (error != cudaSuccess) return error;
  }
#if defined(__CUDACC__)
  if (kind.cluster == 1 && !kind.dependent) {
    kernel<<<grid, block, shared_bytes, stream>>>(arguments...);
    return cudaGetLastError();
  }
  cudaLaunchAttribute attributes[2] = {};
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = attributes;
  if (kind.cluster > 1) {
    cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = kind.cluster;
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
  }
  if (kind.dependent) {
    cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
  }
  return cudaLaunchKernelEx(&config, kernel, arguments...);
#else
  const emulation::LaunchShape shape = {name,         grid,         block,
                                        shared_bytes, kind.cluster, kind.dependent};
  return emulation::submit_kernel(stream, reinterpret_cast<const void*>(kernel), shape,
                                  [=] { kernel(arguments...); });
#endif
}

template <class... P, class... A>
cudaError_t launch(const char* name, void (*kernel)(P...), dim3 grid, dim3 block,
                   size_t shared_bytes, cudaStream_t stream, A... arguments) {
  return launch_as({}, name, kernel, grid, block, shared_bytes, stream, arguments...);
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
