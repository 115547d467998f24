// Helpers of the tests of matrix products: weights that the device packs, and the modes of wgmma.
#ifndef PRECIS_CUDA_TESTS_DEVICE_PRODUCTS_H_
#define PRECIS_CUDA_TESTS_DEVICE_PRODUCTS_H_

#include <deque>

#include "device_test.h"
#include "matmul_cases.h"
#include "wgmma_trial.h"

namespace precis {

// Weights packed by the device, from parts in device memory. The memory is full of NaN before, so
// padding that is not written shows.
class DeviceWeights {
 public:
  DeviceWeights(TestDevice& device, Weights& host, bool transposed = false) {
    precis_matmul_pack_args args = host.args();
    args.transposed = transposed;
    int64_t stacked = 0;
    for (int i = 0; i < args.weight_count; i++) {
      sources_.emplace_back(host.source(i));
      args.weights[i] = sources_.back();
      stacked += args.weights[i].dims[0];
    }
    const int64_t common = args.weights[0].dims[1];
    const int64_t outputs = transposed ? common : stacked, inputs = transposed ? stacked : common;
    layout_ = cuda_packed_layout(outputs, inputs, args.dtype);
    const bool scaled = args.dtype == PRECIS_INT8;  // the scales are behind the rows
    const std::vector<int64_t> dims = scaled ? std::vector<int64_t>{1, layout_.bytes}
                                             : std::vector<int64_t>{layout_.rows, layout_.stride};
    memory_ = std::make_unique<GuardedTensor>(args.dtype, dims);
    if (scaled) {
      std::memset(memory_->data<void>(), 0xff, static_cast<size_t>(layout_.bytes));
    } else {
      memory_->fill(NAN);
    }
    packed_ = std::make_unique<OnDevice>(*memory_);
    args.packed = precis_tensor(*packed_).data;
    args.packed_bytes = layout_.bytes;
    EXPECT_RUN(device, matmul_pack_cuda(device.context(), args));
    matrix_ = {args.packed, layout_.bytes, outputs, inputs, args.dtype, 0};
  }
  operator const precis_packed_matrix&() const { return matrix_; }  // NOLINT: tests read better so

  // Compares with the source, which is not int8: the weights as precis_matmul_pack promises, and zeros
  // around them.
  void check(const precis_matmul_pack_args& source, const char* what) {
    packed_->download();
    int64_t wrong = 0;
    for (int64_t n = 0; n < layout_.rows; n++) {
      for (int64_t k = 0; k < layout_.stride; k++) {
        const bool inside = n < matrix_.outputs && k < matrix_.inputs;
        wrong += memory_->at(n, k) != (inside ? packed_weight_ref(source, n, k) : 0);
      }
    }
    EXPECT(wrong == 0, "%s: %lld wrong", what, static_cast<long long>(wrong));
  }

 private:
  std::deque<OnDevice> sources_;
  CudaPackedLayout layout_;
  std::unique_ptr<GuardedTensor> memory_;
  std::unique_ptr<OnDevice> packed_;
  precis_packed_matrix matrix_;
};

// The modes to test. Where there is wgmma, the trial must find it right; *same_bits tells whether
// wgmma is bitwise identical to mma.sync.
inline std::vector<Wgmma> wgmma_modes(TestDevice& device, bool* same_bits) {
  *same_bits = true;
  if (!has_wgmma()) return {Wgmma::kOff};
  std::string why;
  EXPECT_RUN(device, choose_wgmma(device.context(), true, &why));
  EXPECT(device.context().wgmma != Wgmma::kOff, "%s: %s", device.name(), why.c_str());
  const Wgmma chosen = device.context().wgmma;
  *same_bits = chosen == Wgmma::kManyRows;
  EXPECT_RUN(device, choose_wgmma(device.context(), false, &why));
  EXPECT(device.context().wgmma == (*same_bits ? Wgmma::kManyRows : Wgmma::kOff));
  if (chosen == Wgmma::kOff) return {Wgmma::kOff};
  if (!*same_bits) return {Wgmma::kOff, Wgmma::kAlways};
  return {Wgmma::kOff, Wgmma::kManyRows, Wgmma::kAlways};
}

}  // namespace precis

#endif  // PRECIS_CUDA_TESTS_DEVICE_PRODUCTS_H_
