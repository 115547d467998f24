// The context that every launcher gets.
//
// Every pointer in the arguments of an operation on this device is device memory: tensors, offsets,
// lengths, ids and results alike. A launcher does not synchronize with the device, and it allocates
// nothing once the scratch arena is large enough, so its work can be captured in a CUDA graph.
#ifndef PRECIS_CUDA_CONTEXT_H_
#define PRECIS_CUDA_CONTEXT_H_

#include "launch.h"
#include "problem.h"

namespace precis {

// Scratch memory of one operation; the next operation on the stream may overwrite it.
struct CudaArena {
  void* memory = nullptr;
  size_t bytes = 0;
  uint64_t moves = 0;  // number of reallocations: a graph captured before one reads freed memory
  bool fixed = false;  // true during a capture, which must not allocate

  // Grows the arena, which synchronizes, when wanted is more than ever before. It grows by a
  // quarter more than that, because sequences get longer gradually.
  cudaError_t reserve(size_t wanted, void** start) {
    if (wanted > bytes) {
      if (fixed) return cudaErrorStreamCaptureUnsupported;
      moves++;
      wanted = round_up(wanted + wanted / 4, 256);
      PRECIS_RETURN_IF_ERROR(cudaFree(memory));
      memory = nullptr;
      bytes = 0;
      PRECIS_RETURN_IF_ERROR(cudaMalloc(&memory, wanted));
      bytes = wanted;
    }
    *start = memory;
    return cudaSuccess;
  }
};

class CublasLt;

// Selects the products that use wgmma, the tensor core instruction of Hopper; see wgmma_trial.h.
enum class Wgmma { kOff, kManyRows, kAlways, kTrial };

struct CudaContext {
  cudaStream_t stream = nullptr;
  int multiprocessors = 1;
  int64_t block_shared_bytes = 48 << 10;  // the most shared memory that a block may ask for
  CudaArena scratch;
  unsigned long long* problem = nullptr;  // see problem.h
  CublasLt* cublaslt = nullptr;           // computes matmul where it can; see cublaslt.h
  Wgmma wgmma = Wgmma::kOff;
  // True if the last work of a capture is known to be a kernel of ours that writes no weights. Other
  // work that can be captured must say so.
  bool after_kernel = false;
};

// Fills height rows of width bytes, pitch bytes apart, with zeros.
inline cudaError_t fill_with_zeros(CudaContext& context, void* memory, size_t pitch, size_t width,
                                   size_t height) {
  launches++;
  context.after_kernel = false;
  if (height == 1 || pitch == width) {
    return cudaMemsetAsync(memory, 0, width * height, context.stream);
  }
  return cudaMemset2DAsync(memory, pitch, 0, width, height, context.stream);
}

// Launches a kernel of a decoding step. In a graph, and on a GPU of compute capability 9.0 or later,
// it may begin as soon as every block of the kernel before it has called wait_for_previous_kernel:
// its start-up, and its first loads of weights, overlap with that kernel's end (programmatic dependent
// launch). Every thread of it must call that function before it touches what a kernel of the graph
// writes, and before it writes itself; no kernel of the graph may write what it reads earlier.
template <class... P, class... A>
cudaError_t launch_dependent_clusters(CudaContext& context, uint32_t cluster, const char* name,
                                      void (*kernel)(P...), dim3 grid, dim3 block,
                                      size_t shared_bytes, A... arguments) {
  LaunchKind kind;
  kind.cluster = cluster;
  kind.dependent = context.scratch.fixed && context.after_kernel && is_for_sm90(kernel);
  context.after_kernel = true;
  return launch_as(kind, name, kernel, grid, block, shared_bytes, context.stream, arguments...);
}
template <class... P, class... A>
cudaError_t launch_dependent(CudaContext& context, const char* name, void (*kernel)(P...),
                             dim3 grid, dim3 block, size_t shared_bytes, A... arguments) {
  return launch_dependent_clusters(context, 1, name, kernel, grid, block, shared_bytes,
                                   arguments...);
}

}  // namespace precis

#endif  // PRECIS_CUDA_CONTEXT_H_
