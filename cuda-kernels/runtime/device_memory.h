// The memory of one context on a GPU.
//
// Device memory is that of cudaMalloc, which the host never touches. Small pieces share a block of
// it, because cudaMalloc synchronizes and rounds to megabytes; a large piece, such as a workspace,
// has its own. Shared memory is pinned host memory that the device can address: arrays of a few
// hundred numbers that the host writes for every step, and results that it reads.
#ifndef PRECIS_CUDA_DEVICE_MEMORY_H_
#define PRECIS_CUDA_DEVICE_MEMORY_H_

#include <cstring>
#include <map>

#include "backend.h"
#include "cuda_check.h"

namespace precis {

class DeviceMemory {
 public:
  explicit DeviceMemory(const cudaStream_t& stream) : stream_(stream) {}
  DeviceMemory(const DeviceMemory&) = delete;
  ~DeviceMemory() {
    for (const auto& [start, piece] : pieces_) {
      if (piece.shared) cudaFreeHost(reinterpret_cast<void*>(start));
    }
    for (const auto& [start, block] : blocks_) cudaFree(reinterpret_cast<void*>(start));
  }

  // Device memory is filled with zeros in the order of the stream.
  void* allocate(size_t bytes, bool shared) {
    void* memory = nullptr;
    const char* op = shared ? "allocate_shared" : "allocate";
    // Rounded up, so that a kernel may read a whole vector at the end.
    const size_t room = round_up(bytes, kAlignment);
    if (room < bytes) fail(PRECIS_OUT_OF_MEMORY, "%s: %zu bytes", op, bytes);
    if (shared) {
      cuda_check(cudaHostAlloc(&memory, room, cudaHostAllocPortable | cudaHostAllocMapped), op);
      std::memset(memory, 0, room);
    } else {
      memory = room > kBlockBytes / 4 ? new_block(room, room) : in_a_block(room);
      launches++;
      cuda_check(cudaMemsetAsync(memory, 0, room, stream_), op);
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
    last_ = nullptr;
    if (piece->second.shared) {
      cudaFreeHost(memory);
    } else {
      release(piece->first);
    }
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
  static constexpr size_t kAlignment = 256;
  static constexpr size_t kBlockBytes = size_t{32} << 20;

  struct Piece {
    size_t bytes;
    bool shared;
  };
  // Pieces are handed out one behind the other, and taken back when the last of them is freed.
  struct Block {
    size_t bytes;
    size_t used;
    size_t pieces;
  };

  // Allocates a block whose first piece has so many bytes.
  void* new_block(size_t bytes, size_t first) {
    void* memory = nullptr;
    const cudaError_t error = cudaMalloc(&memory, bytes);
    if (error == cudaErrorMemoryAllocation) {
      (void)cudaGetLastError();
      size_t left = 0, total = 0;
      cuda_check(cudaMemGetInfo(&left, &total), "allocate");
      fail(PRECIS_OUT_OF_MEMORY, "allocate: %zu bytes, but the GPU has %zu of %zu left", bytes,
           left, total);
    }
    cuda_check(error, "allocate");
    blocks_[reinterpret_cast<uintptr_t>(memory)] = {bytes, first, 1};
    return memory;
  }

  void* in_a_block(size_t room) {
    for (auto& [start, block] : blocks_) {
      if (block.bytes != kBlockBytes || room > block.bytes - block.used) continue;
      void* memory = reinterpret_cast<void*>(start + block.used);
      block.used += room;
      block.pieces++;
      return memory;
    }
    return new_block(kBlockBytes, room);
  }

  void release(uintptr_t start) {
    auto block = blocks_.upper_bound(start);
    --block;
    if (--block->second.pieces > 0) return;
    cudaFree(reinterpret_cast<void*>(block->first));
    blocks_.erase(block);
  }

  const cudaStream_t& stream_;
  std::map<uintptr_t, Piece> pieces_;
  std::map<uintptr_t, Block> blocks_;
  uint64_t frees_ = 0;
  mutable const Piece* last_ = nullptr;
  mutable uintptr_t last_start_ = 0;
};

}  // namespace precis

#endif  // PRECIS_CUDA_DEVICE_MEMORY_H_
