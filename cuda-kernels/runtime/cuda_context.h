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
};

}  // namespace precis

#endif  // PRECIS_CUDA_CONTEXT_H_
