// What a CUDA kernel's launcher gets.
//
// Every pointer in the arguments of an operation on this device is device memory: tensors, offsets,
// lengths, ids and results alike. Nothing waits for the device and nothing is allocated once the
// arena is large enough, so that a launcher's work can be captured as a graph.
#ifndef PRECIS_CUDA_CONTEXT_H_
#define PRECIS_CUDA_CONTEXT_H_

#include "device.h"

namespace precis {

// Memory that an operation needs while it runs; the next operation on the stream may overwrite it.
struct CudaArena {
  void* memory = nullptr;
  size_t bytes = 0;
  uint64_t moves = 0;  // how often it was allocated anew: what was captured reads the old one
  bool fixed = false;  // while operations are captured, which must not allocate

  // Grows, which waits for the device, when wanted is more than ever before: by a quarter more than
  // that, for sequences get longer by and by.
  cudaError_t reserve(size_t wanted, void** start) {
    if (wanted > bytes) {
      if (fixed) return cudaErrorStreamCaptureUnsupported;
      moves++;
      wanted = (wanted + wanted / 4 + 255) / 256 * 256;
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

// Which products run on Hopper's own tensor cores; see wgmma.h.
enum class Wgmma { kOff, kManyRows, kAlways, kTrial };

struct CudaContext {
  cudaStream_t stream = nullptr;
  int multiprocessors = 1;
  int64_t block_shared_bytes = 48 << 10;  // what a block may ask for
  CudaArena scratch;
  unsigned long long* problem = nullptr;  // see note_problem
  CublasLt* cublaslt = nullptr;           // does matmul's products where it can; see cublaslt.h
  Wgmma wgmma = Wgmma::kOff;
};

// What a kernel finds wrong with its input. The host would have to wait to be told at once; it
// reads the word when it waits anyway. The lowest code stays, so that what is reported does not
// depend on the order of blocks.
enum class ProblemOp : uint32_t {
  kEmbedding = 1,
  kEmbeddingBackward,
  kSoftmax,
  kSample,
  kProcessLogits,
  kTopK,
  kLinearCrossEntropy,
  kLogProbability,
  kPpoLoss
};
enum class ProblemKind : uint32_t {
  kNan = 1,
  kPositiveInfinity = 2,
  kNothingFinite = 3,
  kId = 4,     // outside the table or the vocabulary
  kLength = 5  // of a history, beyond its stride
};
constexpr unsigned long long kNoProblem = ~0ull;

__device__ __forceinline__ void note_problem(unsigned long long* word, ProblemOp op, int64_t row,
                                             ProblemKind problem) {
  atomicMin(word, static_cast<unsigned long long>(op) << 56 |
                      static_cast<unsigned long long>(row) << 8 |
                      static_cast<unsigned long long>(problem));
}

}  // namespace precis

#endif  // PRECIS_CUDA_CONTEXT_H_
