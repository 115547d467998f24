// Helpers that the tests of matmul and lora_matmul share: weights together with their packed form.
#ifndef PRECIS_TESTS_MATMUL_CASES_H_
#define PRECIS_TESTS_MATMUL_CASES_H_

#include <deque>

#include "ops/matmul.h"
#include "test.h"

namespace precis {

// Adds contexts with oneDNN where it was built, and prints a line where it was not.
inline void add_onednn(std::vector<TestContext>& contexts) {
  for (const char* isa : {"avx2", static_cast<const char*>(nullptr)}) {
    for (int threads : {1, 2}) {
      TestContext context(isa, threads, "onednn");
      if (context.status() == PRECIS_OK) {
        contexts.push_back(std::move(context));
      } else if (isa == nullptr && threads == 1) {
        EXPECT(context.status() == PRECIS_UNSUPPORTED);
        std::printf("SKIPPED: no test with oneDNN: %s\n", context.error().c_str());
      }
    }
  }
}

// Each instruction set with its own kernels, then the best one with what is used by default (nullptr)
// and with oneDNN. A context may be refused.
struct Engine {
  const char *isa, *matmul;
};
inline std::vector<Engine> all_engines() {
  std::vector<Engine> engines;
  for (const char* isa : kIsas) engines.push_back({isa, "native"});
  engines.push_back({nullptr, nullptr});
  engines.push_back({nullptr, "onednn"});
  return engines;
}

// Up to four parts of weights with gaps between their rows, and the packed matrix.
class Weights {
 public:
  Weights(Random& random, std::vector<int64_t> parts, int64_t inputs, int32_t dtype,
          int32_t source_dtype, float scale = 1) {
    args_.weight_count = static_cast<int32_t>(parts.size());
    args_.dtype = dtype;
    for (size_t i = 0; i < parts.size(); i++) {
      sources_.emplace_back(source_dtype, std::vector<int64_t>{parts[i], inputs}, i % 3, i % 2);
      sources_.back().fill_normal(random, scale);
      args_.weights[i] = sources_.back();
      outputs_ += parts[i];
    }
    inputs_ = inputs;
  }

  GuardedTensor& source(int i) { return sources_[i]; }
  const precis_matmul_pack_args& args() const { return args_; }

  // Packs into memory that is full of NaN before, so padding that is not written shows.
  precis_packed_matrix pack(precis_context* context) {
    int64_t bytes = 0;
    EXPECT_OK(context, precis_matmul_pack_size(context, &args_, &bytes));
    packed_ = std::make_unique<GuardedTensor>(PRECIS_UINT8, std::vector<int64_t>{1, bytes});
    std::memset(packed_->data<void>(), 0xff, static_cast<size_t>(bytes));
    args_.packed = packed_->data<void>();
    args_.packed_bytes = bytes;
    EXPECT_OK(context, precis_matmul_pack(context, &args_));
    EXPECT(packed_->intact());
    return {args_.packed, bytes, outputs_, inputs_, args_.dtype, 0};
  }

 private:
  std::deque<GuardedTensor> sources_;
  precis_matmul_pack_args args_ = {};
  std::unique_ptr<GuardedTensor> packed_;
  int64_t outputs_ = 0, inputs_ = 0;
};

// Returns the tolerance of a float32 sum of k products of standard normal numbers.
inline double sum_error(int64_t k) { return 1e-6 * (2 + std::sqrt(static_cast<double>(k))); }

inline const char* dtype_text(int32_t dtype) {
  return dtype == PRECIS_FLOAT32    ? "float32"
         : dtype == PRECIS_BFLOAT16 ? "bfloat16"
         : dtype == PRECIS_INT8     ? "int8"
                                    : "int4";
}

// Returns the first index at which two results of the same shape differ in a bit, or -1.
inline int64_t first_difference(const precis_tensor& a, int64_t a_row, const precis_tensor& b,
                                int64_t b_row) {
  for (int64_t c = 0; c < columns(a); c++) {
    const float x = load_element(a, a_row, c), y = load_element(b, b_row, c);
    if (std::memcmp(&x, &y, 4) != 0) return c;
  }
  return -1;
}

// Returns rows [begin, begin + count) of a tensor.
inline precis_tensor some_rows(const precis_tensor& t, int64_t begin, int64_t count) {
  precis_tensor r = t;
  r.data = t.dtype == PRECIS_BFLOAT16 ? static_cast<void*>(row<uint16_t>(t, begin))
                                      : static_cast<void*>(row<float>(t, begin));
  r.dims[0] = count;
  return r;
}

}  // namespace precis

#endif  // PRECIS_TESTS_MATMUL_CASES_H_
