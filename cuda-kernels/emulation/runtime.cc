// The CUDA runtime of the emulated devices: memory, streams, events and graphs. A stream is a queue
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
#include <thread>
#include <utility>
#include <vector>

#include "device.h"
#include "emulation.h"

namespace precis {
namespace emulation {
namespace {

// Work that a stream is given. The function of a kernel takes the work that it may run in its middle.
struct Item {
  using Run = std::function<cudaError_t(const std::function<cudaError_t()>& previous)>;
  Run run;
  bool kernel = false, dependent = false;
};
using Work = std::vector<Item>;

struct Stream {
  int device;
  Work work;
  // During a capture: the captured work, the thread that began it, and whether it has become invalid.
  std::unique_ptr<Work> captured;
  std::thread::id capturer;
  bool invalid = false;
  // As on a GPU, the error of a kernel is sticky.
  cudaError_t failed = cudaSuccess;
};
struct Event {
  int device;
  Stream* stream = nullptr;  // on which it was last recorded
};
struct Graph {
  int device;
  Work work;
};

std::recursive_mutex mutex;
std::vector<std::unique_ptr<Stream>> streams;

// Device memory by its start: pages of its own, of which the last one is never accessible, so that
// an access beyond the end faults.
struct DeviceMemory {
  char* pages;
  size_t page_bytes;  // without the last page
  int device;
};
std::map<void*, DeviceMemory> device_memory;
constexpr size_t kPageBytes = 4096, kAlignment = 256, kDeviceBytes = size_t{4} << 30;

// The dynamic shared memory that kernels may ask for, where that was set, by device and kernel.
std::map<std::pair<int, const void*>, size_t> most_shared_bytes;
constexpr size_t kSharedBytesOfAll = size_t{48} << 10;

// The devices whose context exists.
bool initialized[kMostDevices] = {};

// Returns the current device, which is device 0 if none has been made current: then it is from now on,
// as in CUDA. Its context exists afterwards.
int use_device() {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  if (current_devices().empty()) current_devices().push_back(0);
  const int device = current_devices().back();
  initialized[device] = true;
  return device;
}

// Lets the memory of a device be touched while it exists, and no other device's. Memory is protected
// again only when the host could run on, which is when the outermost of them ends.
class DeviceAccess {
 public:
  explicit DeviceAccess(int device) : running_(device), device_(device) {
    if (depth_[device]++ == 0) protect(PROT_READ | PROT_WRITE);
  }
  DeviceAccess(const DeviceAccess&) = delete;
  ~DeviceAccess() {
    if (--depth_[device_] == 0) protect(PROT_NONE);
  }

 private:
  void protect(int access) const {
    for (const auto& [start, m] : device_memory) {
      if (m.device == device_ && mprotect(m.pages, m.page_bytes, access) != 0) std::abort();
    }
  }

  const RunningDevice running_;
  const int device_;
  static inline int depth_[kMostDevices] = {};
};

cudaError_t drain(Stream* s) {
  if (s->work.empty()) return s->failed;
  const DeviceAccess access(s->device);
  // Two kernels that may overlap do so every other time.
  static bool turn = false;
  // Work in a queue does not submit more work.
  for (size_t i = 0; i < s->work.size() && s->failed == cudaSuccess; i++) {
    const bool may = i + 1 < s->work.size() && s->work[i + 1].dependent && !is_logging();
    if (may) turn = !turn;
    if (may && turn) {
      const Item& first = s->work[i++];
      s->failed = s->work[i].run([&] { return first.run(nullptr); });
    } else {
      s->failed = s->work[i].run(nullptr);
    }
  }
  s->work.clear();
  return s->failed;
}

// Returns whether this thread captures a stream, or any thread captures the given one, and
// invalidates the capture: the caller wants to allocate, free or synchronize.
bool breaks_capture(const Stream* synchronized = nullptr) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  bool captured = false;
  for (const auto& s : streams) {
    if (s->captured == nullptr) continue;
    if (s->capturer != std::this_thread::get_id() && s.get() != synchronized) continue;
    s->invalid = captured = true;
  }
  return captured;
}

// Synchronizes with a device.
cudaError_t drain_all(int device) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  if (breaks_capture()) return cudaErrorStreamCaptureUnsupported;
  cudaError_t error = cudaSuccess;
  for (const auto& s : streams) {
    if (s->device != device) continue;
    const cudaError_t own = drain(s.get());
    if (error == cudaSuccess) error = own;
  }
  return error;
}

size_t rounded(size_t bytes, size_t multiple) {
  return (bytes + multiple - 1) / multiple * multiple;
}

cudaError_t add(cudaStream_t stream, Item item) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  if (stream == nullptr) {
    const DeviceAccess access(use_device());
    return item.run(nullptr);
  }
  Stream* s = static_cast<Stream*>(stream);
  if (s->captured != nullptr) {
    if (item.dependent && (s->captured->empty() || !s->captured->back().kernel)) {
      return cudaErrorInvalidValue;
    }
    s->captured->push_back(std::move(item));
    return cudaSuccess;
  }
  if (s->failed == cudaSuccess) s->work.push_back(std::move(item));
  return s->failed;
}

cudaError_t add_to_current(cudaStream_t stream, Item item) {
  if (stream != nullptr && static_cast<Stream*>(stream)->device != use_device()) {
    return cudaErrorInvalidResourceHandle;
  }
  return add(stream, std::move(item));
}

Item of_work(std::function<cudaError_t()> work) {
  return {[work = std::move(work)](const auto&) { return work(); }};
}

// For work that may be given to the stream of a device that is not current.
cudaError_t submit_anywhere(cudaStream_t stream, std::function<cudaError_t()> work) {
  return add(stream, of_work(std::move(work)));
}

}  // namespace

cudaError_t submit(cudaStream_t stream, std::function<cudaError_t()> work) {
  return add_to_current(stream, of_work(std::move(work)));
}

cudaError_t submit_kernel(cudaStream_t stream, const void* kernel, const LaunchShape& shape,
                          std::function<void()> thread) {
  if (shape.shared_bytes > kSharedBytesOfAll) {
    const std::lock_guard<std::recursive_mutex> lock(mutex);
    const auto most = most_shared_bytes.find({use_device(), kernel});
    if (most == most_shared_bytes.end() || shape.shared_bytes > most->second) {
      return cudaErrorInvalidValue;
    }
  }
  return add_to_current(stream, {[shape, thread = std::move(thread)](const auto& previous) {
                                   return run(shape, thread, previous);
                                 },
                                 true, shape.dependent});
}

cudaError_t set_shared_bytes(const void* kernel, int bytes) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  const int of = use_device();
  if (bytes < 0 || static_cast<size_t>(bytes) > device(of).shared_bytes) {
    return cudaErrorInvalidValue;
  }
  most_shared_bytes[{of, kernel}] = static_cast<size_t>(bytes);
  return cudaSuccess;
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
  DeviceMemory m = {nullptr, rounded(room, kPageBytes), use_device()};
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

// Synchronizes with the memory's device, as the real one does.
cudaError_t cudaFree(void* memory) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  const auto m = device_memory.find(memory);
  const bool known = m != device_memory.end();
  const cudaError_t error = drain_all(known ? m->second.device : use_device());
  if (memory == nullptr || error == cudaErrorStreamCaptureUnsupported) return error;
  if (!known) return cudaErrorInvalidValue;
  munmap(m->second.pages, m->second.page_bytes + kPageBytes);
  device_memory.erase(m);
  return error;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  // The device of the memory is found by the address.
  std::vector<std::unique_ptr<DeviceAccess>> access;
  for (int i = 0; i < device_count(); i++) access.push_back(std::make_unique<DeviceAccess>(i));
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() { return drain_all(use_device()); }

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorInvalidResourceHandle:
      return "invalid resource handle";
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
  *count = device_count();
  return cudaSuccess;
}

// Three multiprocessors, so that grids and loops over them stay small, unless the environment says how
// many: a log of launches is to have those of a real GPU.
static int multiprocessors() {
  const char* wish = std::getenv("PRECIS_EMULATION_MULTIPROCESSORS");
  const int count = wish == nullptr ? 3 : std::atoi(wish);
  return count > 0 ? count : 3;
}

static bool exists(int index) { return index >= 0 && index < device_count(); }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int index) {
  if (!exists(index)) return cudaErrorInvalidDevice;
  const Device& d = device(index);
  *properties = {"emulated on the host", d.major, d.minor, multiprocessors(), d.shared_bytes};
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int index) {
  if (!exists(index)) return cudaErrorInvalidDevice;
  std::vector<int>& current = current_devices();
  if (current.empty()) current.push_back(index);
  current.back() = index;
  use_device();
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* index) {
  *index = device_index();
  return cudaSuccess;
}

// A context of the driver is a number above the device's.
static CUcontext context_of(int index) {
  return reinterpret_cast<CUcontext>(static_cast<uintptr_t>(index) + 1);
}

CUresult cuDeviceGet(CUdevice* device, int index) {
  *device = index;
  return exists(index) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  initialized[device] = true;
  *context = context_of(device);
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
  if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  *flags = 0;
  *active = initialized[device] ? 1 : 0;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext* context) {
  *context = current_devices().empty() ? nullptr : context_of(current_devices().back());
  return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent(CUcontext context) {
  current_devices().push_back(static_cast<int>(reinterpret_cast<uintptr_t>(context)) - 1);
  return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext* context) {
  if (current_devices().empty()) return CUDA_ERROR_INVALID_CONTEXT;
  *context = context_of(current_devices().back());
  current_devices().pop_back();
  return CUDA_SUCCESS;
}

cudaError_t cudaMemGetInfo(size_t* left, size_t* total) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  const int device = use_device();
  size_t used = 0;
  for (const auto& [start, m] : device_memory) used += m.device == device ? m.page_bytes : 0;
  *total = kDeviceBytes;
  *left = used < kDeviceBytes ? kDeviceBytes - used : 0;
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  use_device();
  if (breaks_capture()) return cudaErrorStreamCaptureUnsupported;
  *memory = std::aligned_alloc(kPageBytes, rounded(bytes, kPageBytes));
  return *memory != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}

// Synchronizes, as the real one does.
cudaError_t cudaFreeHost(void* memory) {
  const cudaError_t error = drain_all(use_device());
  if (error != cudaErrorStreamCaptureUnsupported) std::free(memory);
  return error;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  streams.push_back(std::make_unique<Stream>());
  streams.back()->device = use_device();
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
  Stream* s = static_cast<Stream*>(stream);
  if (breaks_capture(s)) return cudaErrorStreamCaptureUnsupported;
  return s != nullptr ? drain(s) : cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  Stream* s = static_cast<Stream*>(stream);
  if (s == nullptr || s->captured != nullptr) return cudaErrorInvalidValue;
  s->captured = std::make_unique<Work>();
  s->capturer = std::this_thread::get_id();
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
  *graph = new Graph{s->device, std::move(*captured)};
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  *executable = new Graph(*static_cast<Graph*>(graph));
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete static_cast<Graph*>(graph);
  return cudaSuccess;
}

// Work that is still in a queue is a copy of its own.
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete static_cast<Graph*>(executable);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const Graph& graph = *static_cast<Graph*>(executable);
  if (graph.device != use_device()) return cudaErrorInvalidResourceHandle;
  for (const auto& work : graph.work) {
    const cudaError_t error = add_to_current(stream, work);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  return submit_anywhere(stream, [=] {
    log_work("copy", bytes);
    std::memcpy(to, from, bytes);
    return cudaSuccess;
  });
}

// Substitutes for a GPU's libraries launch work of the host with it, in place of kernels.
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t work, void* argument) {
  return submit_anywhere(stream, [=] {
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

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new Event{use_device()};
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete static_cast<Event*>(event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  Event* e = static_cast<Event*>(event);
  Stream* s = static_cast<Stream*>(stream);
  if (e->device != (s != nullptr ? s->device : use_device())) {
    return cudaErrorInvalidResourceHandle;
  }
  e->stream = s;
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  Stream* stream = static_cast<Event*>(event)->stream;
  return stream == nullptr ? cudaSuccess : cudaStreamSynchronize(stream);
}
