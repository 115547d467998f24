// What the tests of the CUDA kernels need beside native/tests/test.h. The same test runs emulated
// and on a GPU: every order of threads is tried in the first, nothing but its own in the second.
//
//   int main() {
//     TestDevice device;
//     if (!device.open()) return device.skip();
//     while (device.next_order()) { ... EXPECT_RUN(device, x_cuda(device.context(), args)); ... }
//     return test_result();
//   }
#ifndef PRECIS_CUDA_TESTS_DEVICE_TEST_H_
#define PRECIS_CUDA_TESTS_DEVICE_TEST_H_

#include "kernels.h"
#include "machine.h"
#include "test.h"

namespace precis {

// What ctest takes for skipped.
constexpr int kSkipped = 77;

// The call succeeded, and so did the kernels that it launched.
#define EXPECT_RUN(device, call)                                                      \
  do {                                                                                \
    cudaError_t run_ = (call);                                                        \
    if (run_ == cudaSuccess) run_ = cudaDeviceSynchronize();                          \
    EXPECT(run_ == cudaSuccess, "%s: %d %s", (device).name(), static_cast<int>(run_), \
           cudaGetErrorString(run_));                                                 \
  } while (0)

inline void expect_cuda(cudaError_t error) {
  EXPECT(error == cudaSuccess, "%s", cudaGetErrorString(error));
}

class TestDevice {
 public:
  // False where there is no device.
  bool open() {
    if (!open_machine(&context_, &name_)) return false;
    expect_cuda(cudaMalloc(reinterpret_cast<void**>(&context_.problem), sizeof kNoProblem));
    reset_problem();
    return true;
  }
  int skip() const {
    std::printf("SKIPPED: no CUDA device: %s\n", name_.c_str());
    return kSkipped;
  }
  ~TestDevice() {
    cudaFree(context_.problem);
    cudaFree(context_.scratch.memory);
  }

  // Before each of the runs that a test consists of.
  bool next_order(int orders = 4) {
    if (order_ >= orders || (!choose_order(order_, &name_) && order_ > 0)) return false;
    order_++;
    return true;
  }

  CudaContext& context() { return context_; }
  const char* name() const { return name_.c_str(); }

  // What a kernel noted since the last time; kNoProblem when nothing was.
  unsigned long long problem() {
    unsigned long long code = 0;
    expect_cuda(cudaMemcpy(&code, context_.problem, sizeof code, cudaMemcpyDeviceToHost));
    reset_problem();
    return code;
  }

 private:
  void reset_problem() {
    expect_cuda(
        cudaMemcpy(context_.problem, &kNoProblem, sizeof kNoProblem, cudaMemcpyHostToDevice));
  }

  CudaContext context_;
  std::string name_;
  int order_ = 0;
};

// A tensor's twin in device memory. Around its elements and between its rows lies NaN there: what
// a kernel reads beside it shows in the result.
class OnDevice {
 public:
  explicit OnDevice(const GuardedTensor& host) : host_(host) {
    expect_cuda(cudaMalloc(&memory_, host.bytes()));
    upload();
  }
  OnDevice(const OnDevice&) = delete;
  ~OnDevice() { cudaFree(memory_); }

  void upload() {
    const std::vector<bool> elements = host_.elements();
    std::vector<uint8_t> bytes(host_.bytes());
    for (size_t i = 0; i < bytes.size(); i++) bytes[i] = elements[i] ? host_.memory()[i] : kNan;
    expect_cuda(cudaMemcpy(memory_, bytes.data(), bytes.size(), cudaMemcpyHostToDevice));
  }
  // The elements back to the host. Nothing else may have changed.
  void download() {
    const std::vector<bool> elements = host_.elements();
    std::vector<uint8_t> bytes(host_.bytes());
    expect_cuda(cudaMemcpy(bytes.data(), memory_, bytes.size(), cudaMemcpyDeviceToHost));
    bool intact = true;
    for (size_t i = 0; i < bytes.size(); i++) {
      if (elements[i]) {
        host_.memory()[i] = bytes[i];
      } else {
        intact &= bytes[i] == kNan;
      }
    }
    EXPECT(intact, "something was written beside the tensor");
  }
  operator precis_tensor() const {  // NOLINT: tests read better so
    precis_tensor t = host_.tensor();
    const auto start = static_cast<const uint8_t*>(t.data) - host_.memory();
    t.data = static_cast<uint8_t*>(memory_) + start;
    return t;
  }

 private:
  static constexpr uint8_t kNan = 0xff;
  const GuardedTensor& host_;
  void* memory_ = nullptr;
};

// An array in device memory.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<T>& values) : count_(values.size()) {
    expect_cuda(cudaMalloc(reinterpret_cast<void**>(&memory_), count_ * sizeof(T) + 1));
    if (count_ == 0) return;
    expect_cuda(cudaMemcpy(memory_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  DeviceArray(const DeviceArray&) = delete;
  ~DeviceArray() { cudaFree(memory_); }
  operator T*() const { return memory_; }  // NOLINT: as above
  std::vector<T> get() const {
    std::vector<T> values(count_);
    if (count_ == 0) return values;
    expect_cuda(cudaMemcpy(values.data(), memory_, count_ * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  size_t count_;
  T* memory_ = nullptr;
};

}  // namespace precis

#endif  // PRECIS_CUDA_TESTS_DEVICE_TEST_H_
