// The CUDA runtime of the emulated device: memory, streams, events and graphs. A stream is a queue
// that runs when it is synchronized. Calls are serialized, because the emulator runs one kernel at a
// time.

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

using Work = std::vector<std::function<cudaError_t()>>;

struct Stream {
  Work work;
  // During a capture: the captured work, and whether the capture has become invalid.
  std::unique_ptr<Work> captured;
  bool invalid = false;
  // As on a GPU, the error of a kernel is sticky.
  cudaError_t failed = cudaSuccess;
};

std::recursive_mutex mutex;
std::vector<std::unique_ptr<Stream>> streams;

cudaError_t drain(Stream* s) {
  // Work in a queue does not submit more work.
  for (const auto& work : s->work) {
    if (s->failed == cudaSuccess) s->failed = work();
  }
  s->work.clear();
  return s->failed;
}

// Returns whether a stream is being captured, and invalidates the capture: the caller wants to
// allocate, free or synchronize.
bool breaks_capture() {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  bool captured = false;
  for (const auto& s : streams) {
    if (s->captured == nullptr) continue;
    s->invalid = captured = true;
  }
  return captured;
}

cudaError_t drain_all() {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  if (breaks_capture()) return cudaErrorStreamCaptureUnsupported;
  cudaError_t error = cudaSuccess;
  for (const auto& s : streams) {
    const cudaError_t own = drain(s.get());
    if (error == cudaSuccess) error = own;
  }
  return error;
}

cudaError_t allocate(void** memory, size_t bytes, size_t alignment) {
  if (breaks_capture()) return cudaErrorStreamCaptureUnsupported;
  *memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  return *memory != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}

}  // namespace

cudaError_t submit(cudaStream_t stream, std::function<cudaError_t()> work) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  if (stream == nullptr) return work();
  Stream* s = static_cast<Stream*>(stream);
  if (s->captured != nullptr) {
    s->captured->push_back(std::move(work));
    return cudaSuccess;
  }
  if (s->failed == cudaSuccess) s->work.push_back(std::move(work));
  return s->failed;
}

}  // namespace emulation
}  // namespace precis

using namespace precis::emulation;

cudaError_t cudaMalloc(void** memory, size_t bytes) { return allocate(memory, bytes, 256); }

// Synchronizes, as the real one does.
cudaError_t cudaFree(void* memory) {
  const cudaError_t error = drain_all();
  if (error != cudaErrorStreamCaptureUnsupported) std::free(memory);
  return error;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() { return drain_all(); }

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
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
  *properties = {"emulated on the host", 9, 0, 3, size_t{227} << 10};
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
  if (breaks_capture()) return cudaErrorStreamCaptureUnsupported;
  return stream != nullptr ? drain(static_cast<Stream*>(stream)) : cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  Stream* s = static_cast<Stream*>(stream);
  if (s == nullptr || s->captured != nullptr) return cudaErrorInvalidValue;
  s->captured = std::make_unique<Work>();
  s->invalid = false;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  Stream* s = static_cast<Stream*>(stream);
  *graph = nullptr;
  if (s->captured == nullptr) return cudaErrorInvalidValue;
  const std::unique_ptr<Work> captured = std::move(s->captured);
  if (s->invalid) return cudaErrorStreamCaptureInvalidated;
  *graph = new Work(std::move(*captured));
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  *executable = new Work(*static_cast<Work*>(graph));
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete static_cast<Work*>(graph);
  return cudaSuccess;
}

// Work that is still in a queue is a copy of its own.
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete static_cast<Work*>(executable);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  for (const auto& work : *static_cast<Work*>(executable)) {
    const cudaError_t error = submit(stream, work);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
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

// An event is the stream on which it was last recorded.
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
