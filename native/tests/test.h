// The tools of the native tests: checks that report and continue, contexts for each instruction
// set, buffers with guard bands, seeded data, and comparison with a reference that prints
// differences.
//
//   int main() {
//     for (TestContext& context : all_contexts()) {
//       ...
//       EXPECT_OK(context, precis_x(context, &args));
//       ...
//     }
//     return test_result();
//   }
#ifndef PRECIS_TESTS_TEST_H_
#define PRECIS_TESTS_TEST_H_

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "ops/op.h"
#include "precis.h"

namespace precis {

// Counted by every thread of a test.
inline std::atomic<int>& test_failures() {
  static std::atomic<int> failures = 0;
  return failures;
}
inline std::atomic<int>& test_checks() {
  static std::atomic<int> checks = 0;
  return checks;
}

// Prints the counts and returns the exit status of main: 0 if nothing failed.
inline int test_result() {
  std::printf("%d checks, %d failed\n", test_checks().load(), test_failures().load());
  if (test_checks() == 0) return 1;
  return test_failures() == 0 ? 0 : 1;
}

#define EXPECT(condition, ...)                                    \
  do {                                                            \
    ::precis::test_checks()++;                                    \
    if (!(condition)) {                                           \
      ::precis::test_failures()++;                                \
      std::printf("%s:%d: %s: ", __FILE__, __LINE__, #condition); \
      std::printf(" " __VA_ARGS__);                               \
      std::printf("\n");                                          \
    }                                                             \
  } while (0)

#define EXPECT_OK(context, call)                                                        \
  do {                                                                                  \
    const precis_status status_ = (call);                                               \
    EXPECT(status_ == PRECIS_OK, "status %d: %s", status_, precis_last_error(context)); \
  } while (0)

// Expects that the call is refused with a message that contains text.
#define EXPECT_REFUSED(context, call, text)                                      \
  do {                                                                           \
    const precis_status status_ = (call);                                        \
    EXPECT(status_ == PRECIS_INVALID_ARGUMENT, "status %d", status_);            \
    EXPECT(std::strstr(precis_last_error(context), text) != nullptr, "said: %s", \
           precis_last_error(context));                                          \
  } while (0)

class TestContext {
 public:
  TestContext(const char* isa, int threads, const char* matmul = nullptr) : isa_(isa) {
    char error[512] = "";
    precis_context_args args = {};
    args.threads = threads;
    args.isa = isa;
    args.matmul = matmul;
    args.error = error;
    args.error_bytes = sizeof error;
    status_ = precis_context_create(&args, &context_);
    name_ = std::string(isa == nullptr ? "best" : isa) + "/" + std::to_string(threads) +
            (matmul == nullptr ? "" : std::string("/") + matmul);
    error_ = error;
  }
  TestContext(TestContext&& other) noexcept
      : context_(other.context_),
        status_(other.status_),
        isa_(other.isa_),
        name_(other.name_),
        error_(other.error_) {
    other.context_ = nullptr;
  }
  ~TestContext() { precis_context_destroy(context_); }

  operator precis_context*() const { return context_; }  // NOLINT: tests read better so
  precis_status status() const { return status_; }
  const char* isa() const { return isa_; }
  const char* name() const { return name_.c_str(); }
  const std::string& error() const { return error_; }

 private:
  precis_context* context_ = nullptr;
  precis_status status_;
  const char* isa_;
  std::string name_;
  std::string error_;
};

// The instruction sets of all processors; a context of another processor's is refused.
constexpr const char* kIsas[] = {"portable", "avx2",         "avx512",   "avx512_bf16",
                                 "neon",     "neon_dotprod", "neon_bf16"};

// Returns one context with one thread and one with two, for each instruction set of this processor.
inline std::vector<TestContext> all_contexts() {
  std::vector<TestContext> contexts;
  for (const char* isa : kIsas) {
    for (int threads : {1, 2}) {
      TestContext context(isa, threads);
      if (context.status() == PRECIS_OK) contexts.push_back(std::move(context));
    }
  }
  return contexts;
}

// The generator splitmix64: a seed gives the same numbers on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  int64_t below(int64_t n) { return static_cast<int64_t>(next() % static_cast<uint64_t>(n)); }
  float normal() {
    const double u = 1.0 - uniform(), v = uniform();
    return static_cast<float>(std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v));
  }

 private:
  uint64_t state_;
};

// A matrix between two bands of a known pattern, which also fills the gaps between its rows, so
// writing outside the matrix shows.
class GuardedTensor {
 public:
  // dims as in precis_tensor; gap: elements between the end of a row and the next; offset: elements
  // by which the start is moved off its 64-byte alignment.
  GuardedTensor(int32_t dtype, std::vector<int64_t> dims, int64_t gap = 0, int64_t offset = 0) {
    tensor_ = {};
    tensor_.rank = static_cast<int32_t>(dims.size());
    tensor_.dtype = dtype;
    for (size_t i = 0; i < dims.size(); i++) tensor_.dims[i] = dims[i];
    tensor_.row_stride = columns(tensor_) + gap;
    element_ = dtype == PRECIS_INT8 || dtype == PRECIS_UINT8         ? 1
               : dtype == PRECIS_BFLOAT16                            ? 2
               : dtype == PRECIS_INT64 || dtype == kReferenceFloat64 ? 8
                                                                     : 4;
    bytes_ = kBand + (rows(tensor_) * tensor_.row_stride + offset) * element_ + kBand;
    bytes_ = (bytes_ + 63) / 64 * 64;
    memory_.reset(static_cast<uint8_t*>(std::aligned_alloc(64, bytes_)));
    std::memset(memory_.get(), kPattern, bytes_);
    tensor_.data = memory_.get() + kBand + offset * element_;
  }

  const precis_tensor& tensor() const { return tensor_; }
  operator const precis_tensor&() const { return tensor_; }  // NOLINT
  template <class T>
  T* data() const {
    return static_cast<T*>(tensor_.data);
  }
  double at(int64_t r, int64_t c) const { return load_element(tensor_, r, c); }

  GuardedTensor& fill_normal(Random& random, float scale = 1) {
    for (int64_t r = 0; r < rows(tensor_); r++) {
      for (int64_t c = 0; c < columns(tensor_); c++) {
        store_element(tensor_, r, c, random.normal() * scale);
      }
    }
    return *this;
  }
  GuardedTensor& fill(float value) {
    for (int64_t r = 0; r < rows(tensor_); r++) {
      for (int64_t c = 0; c < columns(tensor_); c++) store_element(tensor_, r, c, value);
    }
    return *this;
  }

  // The whole memory, bands and gaps included, and which of its bytes belong to elements.
  uint8_t* memory() const { return memory_.get(); }
  size_t bytes() const { return bytes_; }
  std::vector<bool> elements() const {
    std::vector<bool> inside(bytes_, false);
    const auto start = static_cast<uint8_t*>(tensor_.data) - memory_.get();
    for (int64_t r = 0; r < rows(tensor_); r++) {
      for (int64_t b = 0; b < columns(tensor_) * element_; b++) {
        inside[start + r * tensor_.row_stride * element_ + b] = true;
      }
    }
    return inside;
  }

  // Returns true if only elements of the matrix were ever written.
  bool intact() const {
    const std::vector<bool> inside = elements();
    for (size_t i = 0; i < bytes_; i++) {
      if (!inside[i] && memory_[i] != kPattern) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kBand = 256;
  static constexpr uint8_t kPattern = 0xa5;
  struct Free {
    void operator()(uint8_t* p) const { std::free(p); }
  };

  precis_tensor tensor_;
  int64_t element_;
  size_t bytes_;
  std::unique_ptr<uint8_t[], Free> memory_;
};

inline void copy_elements(const precis_tensor& from, const precis_tensor& to) {
  for (int64_t r = 0; r < rows(from); r++) {
    for (int64_t c = 0; c < columns(from); c++) store_element(to, r, c, load_element(from, r, c));
  }
}

// Expects that every element of got is within absolute + relative * |want|; NaN equals NaN, and
// infinities equal themselves.
inline void expect_close(const precis_tensor& got, const precis_tensor& want, double relative,
                         double absolute, const char* what) {
  int64_t wrong = 0;
  test_checks()++;
  for (int64_t r = 0; r < rows(want); r++) {
    for (int64_t c = 0; c < columns(want); c++) {
      const double g = load_element(got, r, c), w = load_element(want, r, c);
      const bool same = std::isfinite(w) ? std::fabs(g - w) <= absolute + relative * std::fabs(w)
                                         : (g == w || (std::isnan(g) && std::isnan(w)));
      if (same) continue;
      if (++wrong <= 5) {
        std::printf("%s: [%lld, %lld] is %.9g, not %.9g\n", what, static_cast<long long>(r),
                    static_cast<long long>(c), g, w);
      }
    }
  }
  if (wrong > 0) {
    test_failures()++;
    std::printf("%s: %lld of %lld elements differ\n", what, static_cast<long long>(wrong),
                static_cast<long long>(rows(want) * columns(want)));
  }
}

// Compares gradient, d loss / d x, with central differences, for x in float64: loss() is called
// with each element of x moved a little either way, and must compute in float64.
template <class Loss>
void expect_gradient(const GuardedTensor& gradient, const GuardedTensor& x, const Loss& loss,
                     const char* what) {
  constexpr double kStep = 1e-5, kTolerance = 1e-7;
  int64_t wrong = 0;
  test_checks()++;
  for (int64_t r = 0; r < rows(x); r++) {
    for (int64_t c = 0; c < columns(x); c++) {
      const double before = x.at(r, c);
      store_element(x, r, c, before + kStep);
      const double above = loss();
      store_element(x, r, c, before - kStep);
      const double below = loss();
      store_element(x, r, c, before);
      const double want = (above - below) / (2 * kStep), got = gradient.at(r, c);
      if (std::fabs(got - want) <= kTolerance * (1 + std::fabs(want))) continue;
      if (++wrong <= 5) {
        std::printf("%s: gradient [%lld, %lld] is %.9g, not %.9g\n", what,
                    static_cast<long long>(r), static_cast<long long>(c), got, want);
      }
    }
  }
  if (wrong > 0) test_failures()++;
}

// Returns sum a b, a loss whose gradient with respect to b is a.
inline double inner_product(const precis_tensor& a, const precis_tensor& b) {
  double sum = 0;
  for (int64_t r = 0; r < rows(a); r++) {
    for (int64_t c = 0; c < columns(a); c++) sum += load_element(a, r, c) * load_element(b, r, c);
  }
  return sum;
}

// Returns the relative tolerance for a result of this type. Values on either side of a rounding
// boundary may be one bfloat16 step apart, though they differ only in the last bit of float32.
inline double rounding(int32_t dtype) { return dtype == PRECIS_BFLOAT16 ? 0x1.02p-7 : 2e-6; }

}  // namespace precis

#endif  // PRECIS_TESTS_TEST_H_
