// Launches kernels, with CUDA's runtime or, where a C++ compiler reads the source, with the
// emulator's.
//
//   launch("name", kernel, grid, block, shared_bytes, stream, arguments...)   for <<< >>>
//   launch_clusters("name", kernel, blocks, grid, ...)    the same in clusters of so many blocks in x
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

// Returns the most blocks of a cluster of a kernel: 1 where its code was made for GPUs that have no
// clusters, even if the GPU at hand has them.
template <class... P>
int most_cluster_blocks([[maybe_unused]] void (*kernel)(P...)) {
#if defined(__CUDACC__)
  constexpr int kPortable = 8, kSm90 = 90;
  cudaFuncAttributes attributes;
  if (cudaFuncGetAttributes(&attributes, kernel) != cudaSuccess) {
    (void)cudaGetLastError();  // the launch has the same one
    return 1;
  }
  return attributes.ptxVersion >= kSm90 ? kPortable : 1;
#else
  return static_cast<int>(emulation::most_cluster_blocks());
#endif
}

template <class... P, class... A>
cudaError_t launch_clusters([[maybe_unused]] const char* name, void (*kernel)(P...),
                            uint32_t cluster, dim3 grid, dim3 block, size_t shared_bytes,
                            cudaStream_t stream, A... arguments) {
  launches++;
  constexpr size_t kWithoutOptIn = size_t{48} << 10;
  if (shared_bytes > kWithoutOptIn) {
    // Not once and for all: the attribute is one of the kernel on the current device.
    const cudaError_t error = cudaFuncSetAttribute(
        kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
    if (error != cudaSuccess) return error;
  }
#if defined(__CUDACC__)
  if (cluster == 1) {
    kernel<<<grid, block, shared_bytes, stream>>>(arguments...);
    return cudaGetLastError();
  }
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim.x = cluster;
  attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = 1;
  return cudaLaunchKernelEx(&config, kernel, arguments...);
#else
  return emulation::submit_kernel(stream, reinterpret_cast<const void*>(kernel), shared_bytes, [=] {
    return emulation::run(
        name, grid, block, shared_bytes, [=] { kernel(arguments...); }, cluster);
  });
#endif
}

template <class... P, class... A>
cudaError_t launch(const char* name, void (*kernel)(P...), dim3 grid, dim3 block,
                   size_t shared_bytes, cudaStream_t stream, A... arguments) {
  return launch_clusters(name, kernel, 1, grid, block, shared_bytes, stream, arguments...);
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
