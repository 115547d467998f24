// The runtime's part of the emulated device: memory, streams and events. A stream is a queue that
// is worked off when somebody waits for it. One thread at a time does so: the emulator runs one
// kernel.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "emulation.h"

namespace precis {
namespace emulation {
namespace {

struct Stream {
  std::vector<std::function<cudaError_t()>> work;
  // As on a GPU, nothing is well again after a kernel has failed.
  cudaError_t failed = cudaSuccess;
};

std::recursive_mutex mutex;
std::vector<std::unique_ptr<Stream>> streams;

cudaError_t work_off(Stream* s) {
  // What is worked off does not submit.
  for (const auto& work : s->work) {
    if (s->failed == cudaSuccess) s->failed = work();
  }
  s->work.clear();
  return s->failed;
}

cudaError_t work_off_all() {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  cudaError_t error = cudaSuccess;
  for (const auto& s : streams) {
    const cudaError_t own = work_off(s.get());
    if (error == cudaSuccess) error = own;
  }
  return error;
}

cudaError_t allocate(void** memory, size_t bytes, size_t alignment) {
  *memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  return *memory != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}

}  // namespace

cudaError_t submit(cudaStream_t stream, std::function<cudaError_t()> work) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  if (stream == nullptr) return work();
  Stream* s = static_cast<Stream*>(stream);
  if (s->failed == cudaSuccess) s->work.push_back(std::move(work));
  return s->failed;
}

}  // namespace emulation
}  // namespace precis

using namespace precis::emulation;

cudaError_t cudaMalloc(void** memory, size_t bytes) { return allocate(memory, bytes, 256); }

// Waits, as the real one does.
cudaError_t cudaFree(void* memory) {
  const cudaError_t error = work_off_all();
  std::free(memory);
  return error;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() { return work_off_all(); }

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidValue:
      return "invalid argument";
    default:
      return precis::emulation_error();
  }
}

cudaError_t cudaGetLastError() { return cudaSuccess; }

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"emulated on the host", 8, 0, 3, size_t{163} << 10};
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = 1;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int) { return cudaSuccess; }

cudaError_t cudaMemGetInfo(size_t* left, size_t* total) {
  *left = *total = size_t{4} << 30;
  return cudaSuccess;
}

cudaError_t cudaMallocManaged(void** memory, size_t bytes, unsigned) {
  return allocate(memory, bytes, 4096);
}

cudaError_t cudaMemAdvise(const void*, size_t, cudaMemoryAdvise, cudaMemLocation) {
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  return allocate(memory, bytes, 4096);
}

cudaError_t cudaFreeHost(void* memory) { return cudaFree(memory); }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  streams.push_back(std::make_unique<Stream>());
  *stream = streams.back().get();
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  streams.erase(std::remove_if(streams.begin(), streams.end(),
                               [&](const auto& s) { return s.get() == stream; }),
                streams.end());
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  return work_off(static_cast<Stream*>(stream));
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  return submit(stream, [=] {
    std::memcpy(to, from, bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  return cudaMemset2DAsync(memory, bytes, value, bytes, 1, stream);
}

cudaError_t cudaMemset2DAsync(void* memory, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream) {
  return submit(stream, [=] {
    for (size_t i = 0; i < height; i++) {
      std::memset(static_cast<char*>(memory) + i * pitch, value, width);
    }
    return cudaSuccess;
  });
}

// An event is the stream on which it was recorded last.
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new cudaStream_t(nullptr);
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete static_cast<cudaStream_t*>(event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  *static_cast<cudaStream_t*>(event) = stream;
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  cudaStream_t stream = *static_cast<cudaStream_t*>(event);
  return stream == nullptr ? cudaSuccess : cudaStreamSynchronize(stream);
}
