// The harness of the kernels' benchmarks. Each operation registers its own in <op>_bench.cu:
//
//   PRECIS_BENCH(rms_norm) {
//     const precis_tensor x = b.tensor(PRECIS_FLOAT32, {8192, 768});
//     b.row("rms_norm 8192x768", {bytes, operations}, [&] { return rms_norm_cuda(...); },
//           [&] { b.expect_near(...); });
//   }
//
// A row is verified before it is timed: everything is finite, and a few results agree with plain
// loops in double on the same operands. The tests with label gpu check more, on the same objects.
#ifndef PRECIS_CUDA_BENCH_H_
#define PRECIS_CUDA_BENCH_H_

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cublaslt.h"
#include "kernels.h"

namespace precis {

struct BenchOptions {
  bool quick = false, tiny = false;
  int repeats = 50;
  const char* csv = nullptr;
  std::vector<std::string> ops;  // empty: all
};

// The work of a row: bytes that have to be read or written once, floating-point operations, and the
// target in microseconds; 0 means no target.
struct Work {
  double bytes, operations;
  double target_us = 0;
};

constexpr double kBfloat16 = 0.02;  // relative tolerance of a result that was rounded to bfloat16

// Exits with a message on an error.
void check(cudaError_t error, const char* what);

class Bench {
 public:
  explicit Bench(const BenchOptions& options);
  ~Bench();
  Bench(const Bench&) = delete;

  CudaContext& context() { return context_; }
  const BenchOptions& options() const { return options_; }
  CublasLt* cublaslt() { return cublaslt_.get(); }
  double bandwidth() const { return bandwidth_; }
  int wrong() const { return wrong_; }
  // A dimension: T5's, or a small one for the emulator.
  int64_t size(int64_t full, int64_t tiny) const { return options_.tiny ? tiny : full; }

  void* allocate(size_t bytes);
  // Frees everything that was allocated.
  void release();
  // A tensor of uniform random numbers in [-scale, scale].
  precis_tensor tensor(int32_t dtype, std::vector<int64_t> dims, float scale = 1);
  template <class T>
  T* array(const std::vector<T>& values) {
    T* p = static_cast<T*>(allocate(values.size() * sizeof(T)));
    check(cudaMemcpy(p, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice),
          "cudaMemcpy");
    return p;
  }
  // A vector of int32 as a tensor.
  precis_tensor ids(const std::vector<int32_t>& values);
  // Packs a float32 matrix of outputs rows or, transposed, of inputs rows.
  precis_packed_matrix pack(const precis_tensor& values, bool transposed = false);
  precis_packed_matrix weight(int64_t outputs, int64_t inputs, float scale);

  // Rows of a matrix, copied to the host and converted to double.
  std::vector<double> rows(const void* data, int32_t dtype, int64_t stride, int64_t row,
                           int64_t columns, int64_t count = 1) const;
  std::vector<double> row(const precis_tensor& t, int64_t r) const;
  std::vector<double> row(const precis_packed_matrix& w, int64_t output) const;
  static double dot(const std::vector<double>& a, const std::vector<double>& b);

  // Checks of the results of the last run.
  void expect(bool right, const char* what);
  void expect_near(double got, double want, double tolerance, const char* what);
  // All elements are finite, and not all are zero.
  void expect_finite(const precis_tensor& t, const char* what);

  // Runs once and verifies, then times, prints and returns the median in microseconds.
  double row(const std::string& name, const Work& work, const std::function<cudaError_t()>& run,
             const std::function<void()>& verify);
  // The median time in microseconds, without a row.
  double median(const std::function<cudaError_t()>& run) { return percentiles(run)[0]; }

 private:
  void ceilings();
  // The 50th, 90th and 99th percentile in microseconds.
  std::vector<double> percentiles(const std::function<cudaError_t()>& run);

  BenchOptions options_;
  CudaContext context_;
  std::unique_ptr<CublasLt> cublaslt_;
  void* flush_ = nullptr;
  size_t flush_bytes_ = 0;
  cudaEvent_t start_, stop_;
  double bandwidth_ = 0, flops_ = 0;
  uint32_t seed_ = 1;
  std::vector<void*> memory_;
  std::FILE* csv_ = nullptr;
  std::string csv_start_;
  int wrong_ = 0;
};

struct BenchRegistration {
  BenchRegistration(const char* op, void (*run)(Bench& b));
};
#define PRECIS_BENCH(op)                                             \
  static void bench_##op(Bench& b);                                  \
  static const BenchRegistration registration_##op(#op, bench_##op); \
  static void bench_##op(Bench& b)

// For example "8192x768".
inline std::string shape_text(int64_t m, int64_t n) {
  return std::to_string(m) + "x" + std::to_string(n);
}

}  // namespace precis

#endif  // PRECIS_CUDA_BENCH_H_
