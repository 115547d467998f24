// Reports of bad input by kernels. The host would have to synchronize to learn of it at once, so a
// kernel writes a code into one word of device memory, and the host reads that word the next time
// it synchronizes anyway. The lowest code wins, so the report does not depend on the order in which
// blocks run.
#ifndef PRECIS_CUDA_PROBLEM_H_
#define PRECIS_CUDA_PROBLEM_H_

#include "launch.h"

namespace precis {

enum class ProblemOp : uint32_t {
  kEmbedding = 1,
  kEmbeddingBackward,
  kAttentionDecode,
  kSoftmax,
  kSample,
  kProcessLogits,
  kTopK,
  kLinearCrossEntropy,
  kLogProbability,
  kPpoLoss,
  kDistillationLoss
};
enum class ProblemKind : uint32_t {
  kNan = 1,
  kPositiveInfinity = 2,
  kNothingFinite = 3,
  kId = 4,         // outside the table or the vocabulary
  kLength = 5,     // of a history, beyond its stride
  kCacheRow = 6,   // of a key, outside the cache
  kParameter = 7,  // of the rules or of sampling, outside its range
  kOffset = 8      // of random numbers, 2^32 or more
};
constexpr unsigned long long kNoProblem = ~0ull;

PRECIS_HOST_DEVICE constexpr unsigned long long problem_code(ProblemOp op, int64_t row,
                                                             ProblemKind kind) {
  return static_cast<unsigned long long>(op) << 56 | static_cast<unsigned long long>(row) << 8 |
         static_cast<unsigned long long>(kind);
}

__device__ __forceinline__ void note_problem(unsigned long long* word, ProblemOp op, int64_t row,
                                             ProblemKind kind) {
  atomicMin(word, problem_code(op, row, kind));
}

}  // namespace precis

#endif  // PRECIS_CUDA_PROBLEM_H_
