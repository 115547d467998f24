// Helpers for the tests of the CUDA kernels, in addition to native/tests/test.h. The same test runs
// emulated, with several orders of threads, and on a GPU, with the GPU's own order.
//
//   int main() {
//     return run_test(4, [](TestDevice& device) {
//       ... EXPECT_RUN(device, x_cuda(device.context(), args)); ...
//     });
//   }
#ifndef PRECIS_CUDA_TESTS_DEVICE_TEST_H_
#define PRECIS_CUDA_TESTS_DEVICE_TEST_H_

#include "kernels.h"
#include "machine.h"
#include "test.h"

namespace precis {

// The exit status that ctest takes for skipped.
constexpr int kSkipped = 77;

// Expects that the call and the kernels that it launched succeed.
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
  // Returns false if there is no device.
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

  // Selects the next order of threads; returns false after the last one.
  bool next_order(int orders = 4) {
    if (order_ >= orders || (!choose_order(order_, &name_) && order_ > 0)) return false;
    order_++;
    return true;
  }

  CudaContext& context() { return context_; }
  const char* name() const { return name_.c_str(); }

  // Returns the problem that a kernel has noted since the last call, or kNoProblem.
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

// Runs a test with each order of threads and returns the exit status of the program.
template <class Test>
int run_test(int orders, Test test) {
  TestDevice device;
  if (!device.open()) return device.skip();
  while (device.next_order(orders)) test(device);
  return test_result();
}

// A copy of a tensor in device memory. The memory around its elements and between its rows is NaN, so
// reading outside the tensor shows in the result.
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
  // Copies the elements back to the host and checks that nothing around them has changed.
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
    EXPECT(intact, "something was written outside the tensor");
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
  operator T*() const { return memory_; }  // NOLINT: tests read better so
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

// Token ids below vocabulary.
inline GuardedTensor random_ids(int64_t tokens, int64_t vocabulary, Random& random) {
  GuardedTensor ids(PRECIS_INT32, {tokens});
  for (int64_t t = 0; t < tokens; t++) {
    ids.data<int32_t>()[t] = static_cast<int32_t>(random.below(vocabulary));
  }
  return ids;
}

}  // namespace precis

#endif  // PRECIS_CUDA_TESTS_DEVICE_TEST_H_
