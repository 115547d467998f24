#ifndef PRECIS_CUDA_STAGING_H_
#define PRECIS_CUDA_STAGING_H_

#include <algorithm>
#include <cstring>

#include "cuda_check.h"
#include "cuda_context.h"

namespace precis {

// Copies pageable host memory to the device through two pinned buffers: while one is copied, the
// other is filled.
class Staging {
 public:
  static constexpr size_t kBufferBytes = size_t{4} << 20;

  ~Staging() {
    for (Buffer& buffer : buffers_) {
      cudaFreeHost(buffer.memory);
      if (buffer.copied != nullptr) cudaEventDestroy(buffer.copied);
    }
    cudaFree(target_.memory);
  }

  // Returns a copy on the device of bytes in host memory; it is valid until the next call of begin.
  void* copy(const void* from, size_t bytes, cudaStream_t stream) {
    char* to = static_cast<char*>(target_.memory) + used_;
    used_ += rounded(bytes);
    for (size_t done = 0; done < bytes; done += kBufferBytes) {
      Buffer& buffer = buffers_[next_ ^= 1];
      if (buffer.memory == nullptr) {
        cuda_check(cudaHostAlloc(&buffer.memory, kBufferBytes, cudaHostAllocDefault),
                   "pinned memory");
        cuda_check(cudaEventCreateWithFlags(&buffer.copied, cudaEventDisableTiming), "an event");
      }
      cuda_check(cudaEventSynchronize(buffer.copied), "matmul_pack");
      const size_t part = std::min(kBufferBytes, bytes - done);
      std::memcpy(buffer.memory, static_cast<const char*>(from) + done, part);
      cuda_check(cudaMemcpyAsync(to + done, buffer.memory, part, cudaMemcpyHostToDevice, stream),
                 "matmul_pack");
      cuda_check(cudaEventRecord(buffer.copied, stream), "matmul_pack");
    }
    return to;
  }
  // Reserves memory for copies whose rounded sizes add up to bytes.
  void begin(size_t bytes) {
    void* start = nullptr;
    cuda_check(target_.reserve(bytes, &start), "matmul_pack");
    used_ = 0;
  }
  // Frees the memory for copies: weights are packed when a model is loaded, and not later.
  void release() {
    if (target_.memory == nullptr) return;
    cudaFree(target_.memory);
    target_ = {};
  }
  static size_t rounded(size_t bytes) { return round_up(bytes, 256); }

 private:
  struct Buffer {
    void* memory = nullptr;
    cudaEvent_t copied = nullptr;
  };
  Buffer buffers_[2];
  CudaArena target_;
  size_t used_ = 0;
  int next_ = 0;
};

}  // namespace precis

#endif  // PRECIS_CUDA_STAGING_H_
