// Helpers that the tests of the losses over the vocabulary share.
#ifndef PRECIS_CUDA_TESTS_DEVICE_LOGITS_H_
#define PRECIS_CUDA_TESTS_DEVICE_LOGITS_H_

#include "device_products.h"
#include "logit_cases.h"

namespace precis {

// Shapes with less than a tile and with more than one in every dimension, with more rows than a block
// of rows has, with two segments of the vocabulary, and without rows.
constexpr LogitShape kDeviceShapes[] = {{1, 1, 1},    {3, 16, 5},    {20, 48, 65}, {40, 31, 130},
                                        {5, 64, 700}, {2, 130, 200}, {130, 8, 70}, {3, 9, 3400},
                                        {1030, 5, 3}, {0, 4, 9}};
// Shapes that take the emulator a second.
inline bool is_slow(const LogitShape& s) { return s.rows > 1000 || s.tokens > 1000; }

// A layer that the device has packed in both orientations, and rows with labels in device memory.
class DeviceLayer {
 public:
  DeviceLayer(TestDevice& device, LogitCase& host)
      : x(host.x), labels(host.labels), w(device, host.w), w_transposed(device, host.w, true) {}

  template <class Args>
  void put(Args& args) const {
    args.x = x;
    args.w = w;
    args.w_transposed = w_transposed;
  }

  OnDevice x, labels;
  DeviceWeights w, w_transposed;
};

// The other tensors of a call's arguments, on the host and on the device, and the reference's results.
template <class Args>
class CallTensors {
 public:
  using Member = precis_tensor Args::*;

  void add(Member member, std::vector<int64_t> dims, int64_t gap = 0, int64_t offset = 0) {
    entries_.push_back(std::make_unique<Entry>(Entry{
        member,
        GuardedTensor(PRECIS_FLOAT32, dims, gap, offset),
        GuardedTensor(PRECIS_FLOAT32, dims),
        nullptr,
    }));
  }
  // The kernel's argument and, after download, its result.
  GuardedTensor& operator[](Member member) { return entry(member).host; }
  // The reference's argument and result.
  GuardedTensor& wanted(Member member) { return entry(member).wanted; }

  // Fills the arguments of both with the same values.
  void fill_normal(Random& random, Member member, float scale = 1) {
    entry(member).host.fill_normal(random, scale);
    copy_elements(entry(member).host, entry(member).wanted);
  }
  void fill(Member member, float value) {
    entry(member).host.fill(value);
    entry(member).wanted.fill(value);
  }

  Args for_reference(Args args) {
    for (auto& e : entries_) args.*e->member = e->wanted;
    return args;
  }
  Args for_device(Args args) {
    for (auto& e : entries_) {
      e->device = std::make_unique<OnDevice>(e->host);
      args.*e->member = *e->device;
    }
    return args;
  }
  void download() {
    for (auto& e : entries_) e->device->download();
  }
  void compare(Member member, double relative, double absolute, const char* what) {
    expect_close(entry(member).host, entry(member).wanted, relative, absolute, what);
  }

 private:
  struct Entry {
    Member member;
    GuardedTensor host, wanted;
    std::unique_ptr<OnDevice> device;
  };
  Entry& entry(Member member) {
    for (auto& e : entries_) {
      if (e->member == member) return *e;
    }
    std::abort();
  }
  std::vector<std::unique_ptr<Entry>> entries_;
};

// Fills the scratch memory with NaN, so that reading before writing shows.
inline void poison_scratch(TestDevice& device) {
  void* start = nullptr;
  CudaArena& scratch = device.context().scratch;
  if (scratch.bytes == 0) expect_cuda(scratch.reserve(1 << 20, &start));
  const std::vector<uint8_t> nan(scratch.bytes, 0xff);
  expect_cuda(cudaMemcpy(scratch.memory, nan.data(), nan.size(), cudaMemcpyHostToDevice));
}

// The vector of length one that consists of element m.
inline precis_tensor one_of(precis_tensor t, int64_t m) {
  if (t.data == nullptr) return t;
  t.data = static_cast<float*>(t.data) + m;
  t.dims[0] = 1;
  return t;
}

inline bool same_bits(const GuardedTensor& a, int64_t i, const GuardedTensor& b, int64_t j) {
  return std::memcmp(a.data<float>() + i, b.data<float>() + j, 4) == 0;
}

// The problem of a bad label in that row.
inline unsigned long long bad_label(ProblemOp op, int64_t row) {
  return problem_code(op, row, ProblemKind::kId);
}

inline std::string describe(const TestDevice& device, const LogitShape& s, int32_t dtype,
                            int32_t x_type, int wanted) {
  return std::string(device.name()) + " w " + dtype_text(dtype) + " x " + dtype_text(x_type) +
         " M " + std::to_string(s.rows) + " D " + std::to_string(s.width) + " V " +
         std::to_string(s.tokens) + " wanted " + std::to_string(wanted);
}

}  // namespace precis

#endif  // PRECIS_CUDA_TESTS_DEVICE_LOGITS_H_
