// Makes a GPU current for a thread while a context works, and gives the thread back as it was: other
// contexts use other GPUs in the same thread, and so may the program that we are a guest of.
//
// The driver keeps a stack of current contexts for each thread. Ours, the GPU's primary context,
// which all CUDA runtimes of the process share, is pushed and popped. cudaGetDevice and cudaSetDevice
// would not do: a thread without any context has device 0 all the same, and to set that creates a
// context, which takes some hundred megabytes, on a GPU that nobody may have asked for.
#ifndef PRECIS_CUDA_CURRENT_DEVICE_H_
#define PRECIS_CUDA_CURRENT_DEVICE_H_

#include <map>
#include <mutex>

#include "cuda_check.h"

#if defined(__CUDACC__)
#include "driver_function.h"
#endif

namespace precis {

// The functions of the driver that are needed.
struct ContextStack {
  decltype(&cuDeviceGet) device_get;
  decltype(&cuDevicePrimaryCtxRetain) retain;
  decltype(&cuCtxPushCurrent) push;
  decltype(&cuCtxPopCurrent) pop;

  // Throws Error if the driver lacks one.
  static const ContextStack& get() {
#if defined(__CUDACC__)
    static const ContextStack all = {
        driver_function<decltype(device_get)>("cuDeviceGet", 2000),
        driver_function<decltype(retain)>("cuDevicePrimaryCtxRetain", 7000),
        driver_function<decltype(push)>("cuCtxPushCurrent", 4000),
        driver_function<decltype(pop)>("cuCtxPopCurrent", 4000),
    };
#else
    static const ContextStack all = {cuDeviceGet, cuDevicePrimaryCtxRetain, cuCtxPushCurrent,
                                     cuCtxPopCurrent};
#endif
    if (all.device_get == nullptr || all.retain == nullptr || all.push == nullptr ||
        all.pop == nullptr) {
      fail(PRECIS_UNSUPPORTED, "the NVIDIA driver has no stack of contexts: update the driver");
    }
    return all;
  }
};

// Serves one thread at a time.
class CurrentDevice {
 public:
  CurrentDevice() = default;
  CurrentDevice(const CurrentDevice&) = delete;
  ~CurrentDevice() {
    if (entered_) leave();
  }

  // Chooses the device, which is current from then on; must precede everything else. Throws Error.
  void open(int index) {
    context_ = primary_context(index);
    enter();
  }

  // Makes the device current. Throws Error.
  void enter() {
    const CUresult result = try_enter();
    if (result != CUDA_SUCCESS) {
      fail(PRECIS_DEVICE_ERROR, "the GPU cannot be made current: the driver gives error %d",
           static_cast<int>(result));
    }
  }
  CUresult try_enter() noexcept {
    const CUresult result = ContextStack::get().push(context_);
    entered_ = result == CUDA_SUCCESS;
    return result;
  }
  // Makes current what was so before; in the thread that has entered.
  void leave() noexcept {
    CUcontext mine;
    (void)ContextStack::get().pop(&mine);
    entered_ = false;
  }

 private:
  // Retains the primary context once for the life of the process, as CUDA's runtime does.
  static CUcontext primary_context(int index) {
    static std::mutex mutex;
    static std::map<int, CUcontext> retained;
    const std::lock_guard<std::mutex> lock(mutex);
    CUcontext& context = retained[index];
    if (context != nullptr) return context;
    const ContextStack& driver = ContextStack::get();
    CUdevice device = 0;
    CUresult result = driver.device_get(&device, index);
    if (result == CUDA_SUCCESS) result = driver.retain(&context, device);
    if (result != CUDA_SUCCESS) {
      retained.erase(index);
      fail(result == CUDA_ERROR_OUT_OF_MEMORY ? PRECIS_OUT_OF_MEMORY : PRECIS_DEVICE_ERROR,
           "GPU %d cannot be used: the driver gives error %d", index, static_cast<int>(result));
    }
    return context;
  }

  CUcontext context_ = nullptr;
  bool entered_ = false;
};

}  // namespace precis

#endif  // PRECIS_CUDA_CURRENT_DEVICE_H_
