// The CUDA runtime of the emulated device: memory, streams, events and graphs. A stream is a queue
// that runs when it is synchronized. Calls are serialized, because the emulator runs one kernel at a
// time.

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "device.h"
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

// Device memory by its start: pages of its own, of which the last one is never accessible, so that
// an access beyond the end faults.
struct DeviceMemory {
  char* pages;
  size_t page_bytes;  // without the last page
};
std::map<void*, DeviceMemory> device_memory;
constexpr size_t kPageBytes = 4096, kAlignment = 256, kDeviceBytes = size_t{4} << 30;

// Lets device memory be touched while it exists. Memory is protected again only when the host could
// run on, which is when the outermost of them ends.
class DeviceAccess {
 public:
  DeviceAccess() {
    if (depth_++ == 0) protect_all(PROT_READ | PROT_WRITE);
  }
  DeviceAccess(const DeviceAccess&) = delete;
  ~DeviceAccess() {
    if (--depth_ == 0) protect_all(PROT_NONE);
  }

 private:
  static void protect_all(int access) {
    for (const auto& [start, m] : device_memory) {
      if (mprotect(m.pages, m.page_bytes, access) != 0) std::abort();
    }
  }
  static inline int depth_ = 0;
};

cudaError_t drain(Stream* s) {
  if (s->work.empty()) return s->failed;
  const DeviceAccess access;
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

size_t rounded(size_t bytes, size_t multiple) {
  return (bytes + multiple - 1) / multiple * multiple;
}

}  // namespace

cudaError_t submit(cudaStream_t stream, std::function<cudaError_t()> work) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  if (stream == nullptr) {
    const DeviceAccess access;
    return work();
  }
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

// The memory is filled with NaN: what a GPU leaves there is anything.
cudaError_t cudaMalloc(void** memory, size_t bytes) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  if (breaks_capture()) return cudaErrorStreamCaptureUnsupported;
  if (bytes > kDeviceBytes) return cudaErrorMemoryAllocation;
  const size_t room = rounded(bytes == 0 ? 1 : bytes, kAlignment);
  DeviceMemory m = {nullptr, rounded(room, kPageBytes)};
  void* pages = mmap(nullptr, m.page_bytes + kPageBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) return cudaErrorMemoryAllocation;
  m.pages = static_cast<char*>(pages);
  std::memset(m.pages, 0xff, m.page_bytes);
  if (mprotect(m.pages, m.page_bytes + kPageBytes, PROT_NONE) != 0) std::abort();
  *memory = m.pages + m.page_bytes - room;
  device_memory[*memory] = m;
  return cudaSuccess;
}

// Synchronizes, as the real one does.
cudaError_t cudaFree(void* memory) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  const cudaError_t error = drain_all();
  if (memory == nullptr || error == cudaErrorStreamCaptureUnsupported) return error;
  const auto m = device_memory.find(memory);
  if (m == device_memory.end()) return cudaErrorInvalidValue;
  munmap(m->second.pages, m->second.page_bytes + kPageBytes);
  device_memory.erase(m);
  return error;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  const DeviceAccess access;
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

// Three multiprocessors, so that grids and loops over them stay small, unless the environment says how
// many: a log of launches is to have those of a real GPU.
static int multiprocessors() {
  const char* wish = std::getenv("PRECIS_EMULATION_MULTIPROCESSORS");
  const int count = wish == nullptr ? 3 : std::atoi(wish);
  return count > 0 ? count : 3;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  const Device& d = device();
  *properties = {"emulated on the host", d.major, d.minor, multiprocessors(), d.shared_bytes};
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int) { return cudaSuccess; }

cudaError_t cudaMemGetInfo(size_t* left, size_t* total) {
  size_t used = 0;
  for (const auto& [start, m] : device_memory) used += m.page_bytes;
  *total = kDeviceBytes;
  *left = used < kDeviceBytes ? kDeviceBytes - used : 0;
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  if (breaks_capture()) return cudaErrorStreamCaptureUnsupported;
  *memory = std::aligned_alloc(kPageBytes, rounded(bytes, kPageBytes));
  return *memory != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}

// Synchronizes, as the real one does.
cudaError_t cudaFreeHost(void* memory) {
  const cudaError_t error = drain_all();
  if (error != cudaErrorStreamCaptureUnsupported) std::free(memory);
  return error;
}

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
    log_work("copy", bytes);
    std::memcpy(to, from, bytes);
    return cudaSuccess;
  });
}

// Substitutes for a GPU's libraries launch work of the host with it, in place of kernels.
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t work, void* argument) {
  return submit(stream, [=] {
    work(argument);
    return cudaSuccess;
  });
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  return cudaMemset2DAsync(memory, bytes, value, bytes, 1, stream);
}

cudaError_t cudaMemset2DAsync(void* memory, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream) {
  return submit(stream, [=] {
    log_work("fill", width * height);
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
