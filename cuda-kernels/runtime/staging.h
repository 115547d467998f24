#ifndef PRECIS_CUDA_STAGING_H_
#define PRECIS_CUDA_STAGING_H_

#include <algorithm>
#include <cstring>

#include "cuda_check.h"
#include "cuda_context.h"

namespace precis {

// Copies between pageable host memory and the device through two pinned buffers: while one is
// copied, the other is filled. Small copies follow one another in the same buffer.
class Staging {
 public:
  static constexpr size_t kBufferBytes = size_t{4} << 20;

  explicit Staging(const cudaStream_t& stream) : stream_(stream) {}
  Staging(const Staging&) = delete;
  // Without memory it calls nothing: that would make a device current where none is.
  ~Staging() {
    for (Buffer& buffer : buffers_) {
      if (buffer.memory != nullptr) cudaFreeHost(buffer.memory);
      if (buffer.copied != nullptr) cudaEventDestroy(buffer.copied);
    }
    release();
  }

  // Copies to the device in the order of the stream; from may change when this returns.
  void send(void* to, const void* from, size_t bytes, const char* op) {
    for (size_t done = 0; done < bytes; done += kBufferBytes) {
      const size_t part = std::min(kBufferBytes, bytes - done);
      void* pinned = take(part, op);
      std::memcpy(pinned, static_cast<const char*>(from) + done, part);
      launches++;
      cuda_check(cudaMemcpyAsync(static_cast<char*>(to) + done, pinned, part,
                                 cudaMemcpyHostToDevice, stream_),
                 op);
    }
  }

  // Copies from the device. Calls synchronize once, when the first part is on its way, and leaves
  // the rest if that throws.
  template <class Synchronize>
  void fetch(void* to, const void* from, size_t bytes, const char* op, Synchronize synchronize) {
    void* last = nullptr;
    size_t last_at = 0, last_bytes = 0;
    for (size_t done = 0; done < bytes; done += kBufferBytes) {
      const size_t part = std::min(kBufferBytes, bytes - done);
      void* pinned = take(part, op);
      cudaEvent_t copied = buffers_[current_].copied;
      launches++;
      cuda_check(cudaMemcpyAsync(pinned, static_cast<const char*>(from) + done, part,
                                 cudaMemcpyDeviceToHost, stream_),
                 op);
      if (done == 0) {
        synchronize();
      } else {
        // The part before this one has arrived, and is copied while this one is on its way.
        std::memcpy(static_cast<char*>(to) + last_at, last, last_bytes);
        cuda_check(cudaEventRecord(copied, stream_), op);
        cuda_check(cudaEventSynchronize(copied), op);
      }
      last = pinned;
      last_at = done;
      last_bytes = part;
    }
    std::memcpy(static_cast<char*>(to) + last_at, last, last_bytes);
  }

  // Returns a copy on the device of bytes in host memory; it is valid until the next call of begin.
  void* copy(const void* from, size_t bytes, const char* op) {
    char* to = static_cast<char*>(target_.memory) + used_;
    used_ += rounded(bytes);
    send(to, from, bytes, op);
    return to;
  }
  // Reserves memory for copies whose rounded sizes add up to bytes.
  void begin(size_t bytes, const char* op) {
    void* start = nullptr;
    cuda_check(target_.reserve(bytes, &start), op);
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
    size_t used = 0;
    cudaEvent_t copied = nullptr;  // recorded when the other buffer is turned to
  };

  // Returns pinned memory that no copy uses any more.
  void* take(size_t bytes, const char* op) {
    if (buffers_[current_].memory == nullptr) open(buffers_[current_]);
    if (buffers_[current_].used + bytes > kBufferBytes) {
      cuda_check(cudaEventRecord(buffers_[current_].copied, stream_), op);
      current_ ^= 1;
      Buffer& next = buffers_[current_];
      if (next.memory == nullptr) open(next);
      cuda_check(cudaEventSynchronize(next.copied), op);
      next.used = 0;
    }
    Buffer& buffer = buffers_[current_];
    void* memory = static_cast<char*>(buffer.memory) + buffer.used;
    buffer.used += round_up(bytes, 16);
    return memory;
  }
  static void open(Buffer& buffer) {
    if (buffer.copied == nullptr) {
      cuda_check(cudaEventCreateWithFlags(&buffer.copied, cudaEventDisableTiming), "an event");
    }
    cuda_check(cudaHostAlloc(&buffer.memory, kBufferBytes, cudaHostAllocDefault), "pinned memory");
  }

  const cudaStream_t& stream_;
  Buffer buffers_[2];
  CudaArena target_;
  size_t used_ = 0;
  int current_ = 0;
};

}  // namespace precis

#endif  // PRECIS_CUDA_STAGING_H_
