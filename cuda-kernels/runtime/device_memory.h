// The memory of one context on a GPU.
//
// Device memory is managed, so that the host can read it, but it is preferred on the device and
// touched there first: pages migrate only when the host does read it. Shared memory is pinned host
// memory that the device can address: arrays of a few hundred numbers that the host writes for every
// step, and results that it reads.
#ifndef PRECIS_CUDA_DEVICE_MEMORY_H_
#define PRECIS_CUDA_DEVICE_MEMORY_H_

#include <cstring>
#include <map>

#include "backend.h"
#include "cuda_check.h"

namespace precis {

class DeviceMemory {
 public:
  DeviceMemory(int device, const cudaStream_t& stream) : device_(device), stream_(stream) {}
  DeviceMemory(const DeviceMemory&) = delete;
  ~DeviceMemory() {
    for (const auto& [start, piece] : pieces_) release(start, piece.shared);
  }

  // Synchronizes, unless the memory is shared.
  void* allocate(size_t bytes, bool shared) {
    void* memory = nullptr;
    const char* op = shared ? "allocate_shared" : "allocate";
    // Rounded up, so that a kernel may read a whole vector at the end.
    const size_t room = round_up(bytes, 256);
    if (shared) {
      cuda_check(cudaHostAlloc(&memory, room, cudaHostAllocPortable | cudaHostAllocMapped), op);
      std::memset(memory, 0, room);
    } else {
      // Beyond what is free the driver would use host memory, and pages would migrate all the time.
      size_t left = 0, total = 0;
      cuda_check(cudaMemGetInfo(&left, &total), op);
      if (room > left) {
        fail(PRECIS_OUT_OF_MEMORY, "%s: %zu bytes, but GPU %d has %zu left", op, bytes, device_,
             left);
      }
      cuda_check(cudaMallocManaged(&memory, room, cudaMemAttachGlobal), op);
      cudaError_t error = prefer_device(memory, room);
      if (error == cudaSuccess) error = cudaMemsetAsync(memory, 0, room, stream_);
      if (error == cudaSuccess) error = cudaStreamSynchronize(stream_);
      if (error != cudaSuccess) cudaFree(memory);
      cuda_check(error, op);
    }
    pieces_[reinterpret_cast<uintptr_t>(memory)] = {bytes, shared};
    return memory;
  }

  // Synchronizes.
  void free(void* memory) {
    const auto piece = pieces_.find(reinterpret_cast<uintptr_t>(memory));
    PRECIS_CHECK(piece != pieces_.end(), "free: %p was not allocated on this context", memory);
    cuda_check(cudaStreamSynchronize(stream_), "free");
    frees_++;
    release(piece->first, piece->second.shared);
    last_ = nullptr;
    pieces_.erase(piece);
  }
  uint64_t frees() const { return frees_; }

  Reach reach(const void* start, size_t bytes) const {
    const auto at = reinterpret_cast<uintptr_t>(start);
    // Consecutive queries are usually about the same allocation.
    if (last_ == nullptr || at < last_start_ || at >= last_start_ + last_->bytes) {
      auto after = pieces_.upper_bound(at);
      if (after == pieces_.begin()) return Reach::kNobody;
      --after;
      last_start_ = after->first;
      last_ = &after->second;
    }
    if (at - last_start_ > last_->bytes || bytes > last_->bytes - (at - last_start_)) {
      return Reach::kNobody;
    }
    return last_->shared ? Reach::kBoth : Reach::kDevice;
  }

 private:
  struct Piece {
    size_t bytes;
    bool shared;
  };

  cudaError_t prefer_device(void* memory, size_t bytes) const {
#if CUDART_VERSION >= 13000
    cudaMemLocation where = {};
    where.type = cudaMemLocationTypeDevice;
    where.id = device_;
#else
    const int where = device_;
#endif
    return cudaMemAdvise(memory, bytes, cudaMemAdviseSetPreferredLocation, where);
  }

  static void release(uintptr_t start, bool shared) {
    void* memory = reinterpret_cast<void*>(start);
    shared ? cudaFreeHost(memory) : cudaFree(memory);
  }

  const int device_;
  const cudaStream_t& stream_;
  std::map<uintptr_t, Piece> pieces_;
  uint64_t frees_ = 0;
  mutable const Piece* last_ = nullptr;
  mutable uintptr_t last_start_ = 0;
};

}  // namespace precis

#endif  // PRECIS_CUDA_DEVICE_MEMORY_H_
