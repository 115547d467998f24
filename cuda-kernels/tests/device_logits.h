// What the tests of the losses over the vocabulary share.
#ifndef PRECIS_CUDA_TESTS_DEVICE_LOGITS_H_
#define PRECIS_CUDA_TESTS_DEVICE_LOGITS_H_

#include <deque>

#include "device_test.h"
#include "logit_cases.h"

namespace precis {

// Less than a tile and more than one in every dimension, more rows than a block of them has, two
// segments of the vocabulary, which are two sweeps of a row, and no rows at all.
constexpr LogitShape kDeviceShapes[] = {{1, 1, 1},    {3, 16, 5},    {20, 48, 65}, {40, 31, 130},
                                        {5, 64, 700}, {2, 130, 200}, {130, 8, 70}, {3, 9, 3400},
                                        {1030, 5, 3}, {0, 4, 9}};
// The emulator takes a second for these.
inline bool is_slow(const LogitShape& s) { return s.rows > 1000 || s.tokens > 1000; }

// A layer packed both ways by the device, and its rows and labels there.
class DeviceLayer {
 public:
  DeviceLayer(TestDevice& device, LogitCase& host)
      : x(host.x), labels(host.labels), source_(host.w.source(0)) {
    for (bool transposed : {false, true}) {
      precis_matmul_pack_args args = host.w.args();
      args.weights[0] = source_;
      args.transposed = transposed;
      const int64_t tokens = args.weights[0].dims[0], width = args.weights[0].dims[1];
      const int64_t outputs = transposed ? width : tokens, inputs = transposed ? tokens : width;
      args.packed_bytes = cuda_packed_layout(outputs, inputs, args.dtype).bytes;
      // Full of NaN: padding that is not written shows.
      packed_.emplace_back(std::vector<uint8_t>(static_cast<size_t>(args.packed_bytes), 0xff));
      args.packed = packed_.back();
      EXPECT_RUN(device, matmul_pack_cuda(device.context(), args));
      (transposed ? w_transposed : w) = {args.packed, args.packed_bytes, outputs,
                                         inputs,      args.dtype,        0};
    }
  }

  template <class Args>
  void put(Args& args) const {
    args.x = x;
    args.w = w;
    args.w_transposed = w_transposed;
  }

  OnDevice x, labels;
  precis_packed_matrix w, w_transposed;

 private:
  OnDevice source_;
  std::deque<DeviceArray<uint8_t>> packed_;
};

// The other tensors of a call's arguments, in both memories; the reference's results beside them.
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
  // What a kernel gets, and after it what it made of that.
  GuardedTensor& operator[](Member member) { return entry(member).host; }
  // What the reference gets and gives.
  GuardedTensor& wanted(Member member) { return entry(member).wanted; }

  // Inputs and what is added to: the same for both.
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

// The scratch memory full of NaN: what is read before it was written shows.
inline void spoil_scratch(TestDevice& device) {
  void* start = nullptr;
  CudaArena& scratch = device.context().scratch;
  if (scratch.bytes == 0) expect_cuda(scratch.reserve(1 << 20, &start));
  const std::vector<uint8_t> nan(scratch.bytes, 0xff);
  expect_cuda(cudaMemcpy(scratch.memory, nan.data(), nan.size(), cudaMemcpyHostToDevice));
}

// Element m of a vector on the device and all behind it, one element long.
inline precis_tensor one_of(precis_tensor t, int64_t m) {
  if (t.data == nullptr) return t;
  t.data = static_cast<float*>(t.data) + m;
  t.dims[0] = 1;
  return t;
}

inline bool same_bits(const GuardedTensor& a, int64_t i, const GuardedTensor& b, int64_t j) {
  return std::memcmp(a.data<float>() + i, b.data<float>() + j, 4) == 0;
}

// The lowest row whose label is none.
inline unsigned long long bad_label(ProblemOp op, int64_t row) {
  return static_cast<unsigned long long>(op) << 56 | static_cast<unsigned long long>(row) << 8 |
         static_cast<unsigned long long>(ProblemKind::kId);
}

inline std::string describe(const TestDevice& device, const LogitShape& s, int32_t dtype,
                            int32_t x_type, int wanted) {
  return std::string(device.name()) + " w " + dtype_text(dtype) + " x " + dtype_text(x_type) +
         " M " + std::to_string(s.rows) + " D " + std::to_string(s.width) + " V " +
         std::to_string(s.tokens) + " wanted " + std::to_string(wanted);
}

}  // namespace precis

#endif  // PRECIS_CUDA_TESTS_DEVICE_LOGITS_H_
