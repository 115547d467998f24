// Contexts on a GPU and their memory, for tests behind the C boundary.
#ifndef PRECIS_CUDA_TESTS_PIECE_H_
#define PRECIS_CUDA_TESTS_PIECE_H_

#include <string>
#include <vector>

#include "test.h"

namespace precis {

// Memory of a context, as a tensor.
class Piece {
 public:
  Piece(precis_context* context, int32_t dtype, int64_t m, int64_t n, bool shared)
      : context_(context), bytes_(m * n * 4) {
    EXPECT_OK(context, shared ? precis_allocate_shared(context, bytes_, &memory_)
                              : precis_allocate(context, bytes_, &memory_));
    tensor_ = {memory_, {m, n}, 0, 2, dtype};
  }
  Piece(const Piece&) = delete;
  ~Piece() { EXPECT_OK(context_, precis_free(context_, memory_, bytes_)); }

  template <class T>
  T* data() const {
    return static_cast<T*>(memory_);
  }
  // Copies all elements to the context's memory, or back.
  template <class T>
  void set(const std::vector<T>& values) const {
    EXPECT(static_cast<int64_t>(values.size() * sizeof(T)) == bytes_);
    EXPECT_OK(context_, precis_upload(context_, memory_, values.data(), bytes_));
  }
  template <class T>
  std::vector<T> get() const {
    std::vector<T> values(static_cast<size_t>(bytes_) / sizeof(T));
    EXPECT_OK(context_, precis_download(context_, values.data(), memory_, bytes_));
    return values;
  }
  operator precis_tensor() const { return tensor_; }  // NOLINT: tests read better so
  precis_tensor vector() const {
    precis_tensor t = tensor_;
    t.dims[0] *= t.dims[1];
    t.rank = 1;
    return t;
  }

 private:
  precis_context* context_;
  int64_t bytes_;
  void* memory_ = nullptr;
  precis_tensor tensor_;
};

// Creates a context on a GPU, or returns nullptr with the reason in text.
inline precis_context* create(int32_t index, precis_status* status, std::string* text) {
  char error[512] = "";
  precis_context_args args = {};
  args.device = PRECIS_CUDA;
  args.device_index = index;
  args.error = error;
  args.error_bytes = sizeof error;
  precis_context* context = nullptr;
  *status = precis_context_create(&args, &context);
  *text = error;
  return context;
}

}  // namespace precis

#endif  // PRECIS_CUDA_TESTS_PIECE_H_
