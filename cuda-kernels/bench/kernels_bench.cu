// What each kernel takes on this GPU: percentiles of repeats between events, with everything that
// it reads out of L2; the bandwidth of the bytes that it has to move as a share of what a copy of 1
// GiB reaches here, and its floating-point operations as a share of what a large product reaches;
// and beside those that have one, the target and whether it is met. T5-base's shapes. A result is
// looked at before it is timed: everything is finite, and a few rows are what plain loops in double
// make of the same operands. Label gpu of the tests looks closer, on the same objects.
//
//   kernels_bench [--quick] [--repeats N] [--csv FILE]
//
// --quick leaves out what the short table does without. --tiny is for the emulator: other shapes,
// whose times mean nothing. Exit status 1 where a result is wrong, 77 where there is no GPU; a
// target that is not met is no failure.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cublaslt.h"
#include "kernels.h"
#include "machine.h"
#include "ops/relative_position.h"
#include "wgmma_trial.h"

using namespace precis;

namespace {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

#if defined(__CUDACC__)
constexpr cudaMemcpyKind kDeviceToDevice = cudaMemcpyDeviceToDevice;

float elapsed(cudaEvent_t start, cudaEvent_t stop) {
  float ms = 0;
  check(cudaEventElapsedTime(&ms, start, stop), "cudaEventElapsedTime");
  return ms;
}
#else
constexpr cudaMemcpyKind kDeviceToDevice = cudaMemcpyHostToDevice;

float elapsed(cudaEvent_t, cudaEvent_t) { return 1; }
#endif

__global__ void fill_kernel(float* x, int64_t n, uint32_t seed, float scale) {
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n;
       i += int64_t{gridDim.x} * blockDim.x) {
    uint32_t h = (static_cast<uint32_t>(i) + seed) * 2654435761u;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    x[i] = (static_cast<float>(h) * 0x1p-31f - 1.0f) * scale;
  }
}

struct Options {
  bool quick = false, tiny = false;
  int repeats = 50;
  const char* csv = nullptr;
};

// What a row is of: bytes that have to be read or written once, operations, and what is wanted, in
// microseconds or as a multiple of another row's time; 0: nothing is.
struct Work {
  double bytes, operations;
  double target_us = 0;
};

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options) {
    std::string name;
    if (!open_machine(&context_, &name)) {
      std::fprintf(stderr, "no CUDA device: %s\n", name.c_str());
      std::exit(77);
    }
    check(cudaStreamCreateWithFlags(&context_.stream, 0), "cudaStreamCreateWithFlags");
    check(cudaMalloc(reinterpret_cast<void**>(&context_.problem), sizeof kNoProblem), "cudaMalloc");
    check(cudaMemcpy(context_.problem, &kNoProblem, sizeof kNoProblem, cudaMemcpyHostToDevice),
          "cudaMemcpy");
    flush_bytes_ = size_t{1} << (options.tiny ? 12 : 28);  // more than any L2
    check(cudaMalloc(&flush_, flush_bytes_), "cudaMalloc");
    check(cudaEventCreateWithFlags(&start_, 0), "cudaEventCreateWithFlags");
    check(cudaEventCreateWithFlags(&stop_, 0), "cudaEventCreateWithFlags");
    int driver = 0;
    check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    char date[32] = "";
    const std::time_t now = std::time(nullptr);
    std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now));
    const std::string version = driver_version() + std::string(" (CUDA ") +
                                std::to_string(driver / 1000) + "." +
                                std::to_string(driver % 1000 / 10) + ")";
    std::printf("%s, driver %s, %s, %d multiprocessors\n", name.c_str(), version.c_str(), date,
                context_.multiprocessors);
    if (options.csv != nullptr) {
      csv_ = std::fopen(options.csv, "w");
      if (csv_ == nullptr) {
        std::fprintf(stderr, "%s cannot be written\n", options.csv);
        std::exit(1);
      }
      std::fprintf(csv_,
                   "date,gpu,driver,op,p50_us,p90_us,p99_us,repeats,gb_per_s,bandwidth_share,"
                   "tflop_per_s,tflop_share,target_us,met\n");
      csv_start_ = std::string(date) + ",\"" + name + "\"," + version;
    }
    if (has_wgmma()) {
      std::string why;
      check(choose_wgmma(context_, true, &why), "choose_wgmma");
      std::printf("wgmma: %s\n", why.c_str());
    }
    ceilings();
  }
  ~Bench() {
    release();
    if (csv_ != nullptr && std::fclose(csv_) != 0) {
      std::fprintf(stderr, "%s could not be written\n", options_.csv);
      wrong_++;
    }
  }
  Bench(const Bench&) = delete;

  CudaContext& context() { return context_; }
  const Options& options() const { return options_; }
  CublasLt* cublaslt() { return cublaslt_.get(); }
  double bandwidth() const { return bandwidth_; }
  int wrong() const { return wrong_; }
  // A size: T5's, or the emulator's.
  int64_t size(int64_t full, int64_t tiny) const { return options_.tiny ? tiny : full; }

  void* allocate(size_t bytes) {
    void* memory = nullptr;
    check(cudaMalloc(&memory, bytes), "cudaMalloc");
    memory_.push_back(memory);
    return memory;
  }
  // Everything that was allocated.
  void release() {
    for (void* memory : memory_) check(cudaFree(memory), "cudaFree");
    memory_.clear();
  }

  precis_tensor tensor(int32_t dtype, std::vector<int64_t> dims, float scale = 1) {
    precis_tensor t = {};
    t.rank = static_cast<int32_t>(dims.size());
    t.dtype = dtype;
    int64_t n = 1;
    for (size_t i = 0; i < dims.size(); i++) n *= t.dims[i] = dims[i];
    t.data = allocate(static_cast<size_t>(n) * (dtype == PRECIS_BFLOAT16 ? 2 : 4));
    precis_tensor values = t;
    values.dtype = PRECIS_FLOAT32;
    if (dtype == PRECIS_BFLOAT16) {
      check(cudaMalloc(&values.data, static_cast<size_t>(n) * 4), "cudaMalloc");
    }
    check(launch("fill", fill_kernel, dim3(options_.tiny ? 2 : 1024), dim3(256), 0, context_.stream,
                 static_cast<float*>(values.data), n, seed_++, scale),
          "fill");
    if (dtype == PRECIS_BFLOAT16) {
      check(convert_cuda(context_, {values, t}), "convert");
      check(cudaStreamSynchronize(context_.stream), "convert");
      check(cudaFree(values.data), "cudaFree");
    }
    check(cudaStreamSynchronize(context_.stream), "fill");
    return t;
  }
  template <class T>
  T* array(const std::vector<T>& values) {
    T* p = static_cast<T*>(allocate(values.size() * sizeof(T)));
    check(cudaMemcpy(p, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice),
          "cudaMemcpy");
    return p;
  }
  // Packed, of a float32 matrix of outputs rows or, transposed, of inputs rows.
  precis_packed_matrix pack(const precis_tensor& values, bool transposed = false) {
    precis_matmul_pack_args args = {};
    args.weights[0] = values;
    args.weight_count = 1;
    args.dtype = PRECIS_BFLOAT16;
    args.transposed = transposed;
    const int64_t outputs = values.dims[transposed ? 1 : 0],
                  inputs = values.dims[transposed ? 0 : 1];
    args.packed_bytes = cuda_packed_layout(outputs, inputs, PRECIS_BFLOAT16).bytes;
    args.packed = allocate(static_cast<size_t>(args.packed_bytes));
    check(matmul_pack_cuda(context_, args), "matmul_pack");
    check(cudaStreamSynchronize(context_.stream), "matmul_pack");
    return {args.packed, args.packed_bytes, outputs, inputs, PRECIS_BFLOAT16, 0};
  }
  precis_packed_matrix weight(int64_t outputs, int64_t inputs, float scale) {
    return pack(tensor(PRECIS_FLOAT32, {outputs, inputs}, scale));
  }

  // Rows of a matrix, on the host and as double.
  std::vector<double> rows(const void* data, int32_t dtype, int64_t stride, int64_t row,
                           int64_t columns, int64_t count = 1) const {
    const size_t bytes = dtype == PRECIS_BFLOAT16 ? 2 : 4;
    std::vector<double> values;
    std::vector<unsigned char> raw(static_cast<size_t>(columns) * bytes);
    for (int64_t r = row; r < row + count; r++) {
      check(cudaMemcpy(
                raw.data(),
                static_cast<const unsigned char*>(data) + static_cast<size_t>(r * stride) * bytes,
                raw.size(), cudaMemcpyDeviceToHost),
            "cudaMemcpy");
      for (int64_t c = 0; c < columns; c++) {
        float value;
        if (dtype == PRECIS_BFLOAT16) {
          uint16_t half;
          std::memcpy(&half, &raw[static_cast<size_t>(c) * 2], 2);
          const uint32_t word = uint32_t{half} << 16;
          std::memcpy(&value, &word, 4);
        } else {
          std::memcpy(&value, &raw[static_cast<size_t>(c) * 4], 4);
        }
        values.push_back(static_cast<double>(value));
      }
    }
    return values;
  }
  std::vector<double> row(const precis_tensor& t, int64_t r) const {
    const int64_t columns = t.dims[t.rank - 1];
    return rows(t.data, t.dtype, columns, r, columns);
  }
  std::vector<double> row(const precis_packed_matrix& w, int64_t output) const {
    const CudaPackedLayout layout = cuda_packed_layout(w.outputs, w.inputs, w.dtype);
    return rows(w.data, w.dtype, layout.stride, output, w.inputs);
  }
  static double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); i++) sum += a[i] * b[i];
    return sum;
  }

  // Of what was computed last.
  void expect(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "WRONG: %s\n", what);
    wrong_++;
  }
  void expect_near(double got, double want, double tolerance, const char* what) {
    if (std::fabs(got - want) <= tolerance * (1 + std::fabs(want))) return;
    std::fprintf(stderr, "WRONG: %s is %g, not %g\n", what, got, want);
    wrong_++;
  }
  void expect_finite(const precis_tensor& t, const char* what) {
    int64_t n = 1;
    for (int i = 0; i < t.rank; i++) n *= t.dims[i];
    bool finite = true, zeros = true;
    for (double v : rows(t.data, t.dtype, n, 0, n)) {
      finite &= std::isfinite(v);
      zeros &= v == 0;
    }
    expect(finite && !zeros, what);
  }

  // Runs once and lets verify look, then times. Returns the median in microseconds.
  double row(const std::string& name, const Work& work, const std::function<cudaError_t()>& run,
             const std::function<void()>& verify) {
    check(run(), name.c_str());
    check(cudaStreamSynchronize(context_.stream), name.c_str());
    const int before = wrong_;
    verify();
    unsigned long long problem = kNoProblem;
    check(cudaMemcpy(&problem, context_.problem, sizeof problem, cudaMemcpyDeviceToHost),
          "cudaMemcpy");
    expect(problem == kNoProblem, "an input that the kernel refuses");
    if (wrong_ != before) {
      std::printf("%-46s is wrong, so it is not timed\n", name.c_str());
      return 0;
    }
    const std::vector<double> us = percentiles(run);
    const double rate = 1e-3 * work.bytes / us[0], flops = 1e-6 * work.operations / us[0];
    std::printf("%-46s %9.2f %9.2f %9.2f %7.0f %4.0f%% %7.1f %4.0f%%", name.c_str(), us[0], us[1],
                us[2], rate, 100 * rate / bandwidth_, flops, flops_ > 0 ? 100 * flops / flops_ : 0);
    const bool met = us[0] <= work.target_us, wanted = work.target_us > 0 && !options_.tiny;
    if (wanted) std::printf("  %.1f: %s", work.target_us, met ? "met" : "MISSED");
    std::printf("\n");
    if (csv_ != nullptr) {
      std::fprintf(csv_, "%s,\"%s\",%.3f,%.3f,%.3f,%d,%.1f,%.3f,%.2f,%.3f,", csv_start_.c_str(),
                   name.c_str(), us[0], us[1], us[2], options_.repeats, rate, rate / bandwidth_,
                   flops, flops_ > 0 ? flops / flops_ : 0);
      if (wanted) std::fprintf(csv_, "%.2f,%s", work.target_us, met ? "yes" : "no");
      std::fprintf(csv_, wanted ? "\n" : ",\n");
    }
    return us[0];
  }

 private:
  // Of the driver itself; only Linux says so.
  static std::string driver_version() {
    std::ifstream file("/proc/driver/nvidia/version");
    std::string word;
    while (file >> word) {
      if (word.size() > 3 && word.find_first_not_of("0123456789.") == std::string::npos)
        return word;
    }
    return "unknown";
  }

  void ceilings() {
    const size_t bytes = size_t{1} << (options_.tiny ? 12 : 30);
    void *from = allocate(bytes), *to = allocate(bytes);
    bandwidth_ = 2e-3 * static_cast<double>(bytes) / percentiles([&] {
                   return cudaMemcpyAsync(to, from, bytes, kDeviceToDevice, context_.stream);
                 })[0];
    release();
    std::string why;
    cublaslt_ = CublasLt::find(&why);
    const int64_t n = size(options_.quick ? 4096 : 8192, 64);
    const precis_tensor x = tensor(PRECIS_BFLOAT16, {n, n}), y = tensor(PRECIS_BFLOAT16, {n, n});
    const precis_packed_matrix w = weight(n, n, 0.03f);
    const auto product = [&] { return matmul_cuda(context_, {x, w, y, 1, 0}); };
    const double operations = 2e-6 * static_cast<double>(n) * static_cast<double>(n * n);
    const double own = operations / percentiles(product)[0];
    flops_ = own;
    std::printf("ceilings: copy %.0f GB/s; bfloat16 product of %lld^3 %.0f TFLOP/s by our kernel",
                bandwidth_, static_cast<long long>(n), own);
    if (cublaslt_ != nullptr) {
      context_.cublaslt = cublaslt_.get();
      const double library = operations / percentiles(product)[0];
      context_.cublaslt = nullptr;
      flops_ = std::max(own, library);
      std::printf(", %.0f by cuBLASLt %s", library, cublaslt_->version());
    } else {
      std::printf("; no cuBLASLt: %s", why.c_str());
    }
    release();
    std::printf("\n\n%-46s %9s %9s %9s %7s %5s %7s %5s  %s\n", "", "p50 us", "p90", "p99", "GB/s",
                "share", "TFLOP/s", "share", "target us");
  }

  // The 50th, 90th and 99th, in microseconds.
  std::vector<double> percentiles(const std::function<cudaError_t()>& run) {
    std::vector<double> us;
    for (int i = options_.tiny ? 0 : -3; i < options_.repeats; i++) {
      check(cudaMemsetAsync(flush_, i & 255, flush_bytes_, context_.stream), "flush");
      check(cudaEventRecord(start_, context_.stream), "cudaEventRecord");
      check(run(), "launch");
      check(cudaEventRecord(stop_, context_.stream), "cudaEventRecord");
      check(cudaEventSynchronize(stop_), "run");
      if (i >= 0) us.push_back(1e3 * static_cast<double>(elapsed(start_, stop_)));
    }
    std::sort(us.begin(), us.end());
    const auto at = [&](double share) {
      const double rank = std::ceil(share * static_cast<double>(us.size())) - 1;
      return us[static_cast<size_t>(std::max(rank, 0.0))];
    };
    return {at(0.5), at(0.9), at(0.99)};
  }

  Options options_;
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

constexpr double kBfloat16 = 0.02;  // relative, of a result that was rounded to bfloat16

void rows_and_elements(Bench& b) {
  const int64_t m = b.size(8192, 5), d = b.size(768, 72), f = b.size(2048, 40);
  const std::string shape = std::string(" ") + std::to_string(m) + "x" + std::to_string(d);
  const precis_tensor x = b.tensor(PRECIS_FLOAT32, {m, d}), y = b.tensor(PRECIS_BFLOAT16, {m, d});
  const precis_tensor weight = b.tensor(PRECIS_FLOAT32, {d}), dx = b.tensor(PRECIS_FLOAT32, {m, d});
  const precis_tensor wide = b.tensor(PRECIS_BFLOAT16, {m, 2 * f});
  const precis_tensor gated = b.tensor(PRECIS_BFLOAT16, {m, f});
  const double n = static_cast<double>(m * d);
  const std::vector<double> x_row = b.row(x, m / 2), weight_row = b.row(weight, 0);
  const double inverse = 1 / std::sqrt(Bench::dot(x_row, x_row) / static_cast<double>(d) + 1e-6);
  b.row(
      "rms_norm" + shape, {n * 6, 0},
      [&] {
        return rms_norm_cuda(b.context(), {x, weight, y, 1e-6f, 0});
      },
      [&] {
        const std::vector<double> got = b.row(y, m / 2);
        for (size_t i : {size_t{0}, got.size() - 1}) {
          b.expect_near(got[i], x_row[i] * inverse * weight_row[i], kBfloat16, "rms_norm");
        }
      });
  // dx = r (g - x r^2 mean(g x)) with g = dy weight.
  const precis_tensor dy = b.tensor(PRECIS_BFLOAT16, {m, d});
  b.row(
      "rms_norm_backward" + shape, {n * 10, 0},
      [&] {
        return rms_norm_backward_cuda(b.context(), {x, weight, dy, dx, {}, 1e-6f, 0});
      },
      [&] {
        std::vector<double> g = b.row(dy, m / 2);
        for (size_t i = 0; i < g.size(); i++) g[i] *= weight_row[i];
        const double mean = Bench::dot(g, x_row) / static_cast<double>(d);
        const std::vector<double> got = b.row(dx, m / 2);
        for (size_t i : {size_t{0}, got.size() - 1}) {
          b.expect_near(got[i], inverse * (g[i] - x_row[i] * inverse * inverse * mean), 1e-3,
                        "rms_norm_backward");
        }
      });
  b.row(
      std::string("gelu gated ") + std::to_string(m) + "x" + std::to_string(f),
      {static_cast<double>(m * f) * 6, 0},
      [&] {
        return activation_cuda(b.context(), {wide, gated, PRECIS_GELU_TANH, 1});
      },
      [&] {
        const std::vector<double> in = b.row(wide, m - 1), got = b.row(gated, m - 1);
        for (size_t i : {size_t{0}, got.size() - 1}) {
          const double v = in[i];
          const double gelu =
              0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
          b.expect_near(got[i], gelu * in[i + got.size()], kBfloat16, "gelu");
        }
      });
  b.row(
      "dropout" + shape, {n * 6, 0},
      [&] {
        return dropout_cuda(b.context(), {x, y, 1, 1, 0.1f, 0});
      },
      [&] {
        const std::vector<double> got = b.row(y, m / 2);
        size_t kept = 0;
        bool right = true;
        for (size_t i = 0; i < got.size(); i++) {
          kept += got[i] != 0;
          right &= got[i] == 0 || std::fabs(got[i] - x_row[i] / 0.9) <= kBfloat16;
        }
        b.expect(right && 2 * kept > got.size(), "dropout");
      });
  const int64_t vocabulary = b.size(32128, 50);
  const precis_tensor table = b.tensor(PRECIS_BFLOAT16, {vocabulary, d});
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < m; i++) ids.push_back(static_cast<int32_t>(i * 7919 % vocabulary));
  precis_tensor id_tensor = b.tensor(PRECIS_FLOAT32, {m});
  id_tensor.data = b.array(ids);
  id_tensor.dtype = PRECIS_INT32;
  b.row(
      "embedding" + shape, {n * 6, 0},
      [&] {
        return embedding_cuda(b.context(), {table, id_tensor, dx});
      },
      [&] {
        b.expect(b.row(dx, m - 1) == b.row(table, ids[static_cast<size_t>(m - 1)]), "embedding");
      });
  const int64_t p = b.size(10'000'000, 1000);
  const std::string count = std::string(" of ") + std::to_string(p);
  const precis_tensor w = b.tensor(PRECIS_FLOAT32, {p}), g = b.tensor(PRECIS_FLOAT32, {p});
  const precis_tensor mean = b.tensor(PRECIS_FLOAT32, {p}, 0);
  const precis_tensor variance = b.tensor(PRECIS_FLOAT32, {p}, 0);
  const std::vector<double> values = b.row(w, 0);
  double* sum = b.array<double>({0});
  b.row(
      "sum_of_squares" + count, {4.0 * static_cast<double>(p), 0},
      [&] {
        return sum_of_squares_cuda(b.context(), {w, sum});
      },
      [&] {
        double got = 0;
        check(cudaMemcpy(&got, sum, sizeof got, cudaMemcpyDeviceToHost), "cudaMemcpy");
        b.expect_near(got, Bench::dot(values, values), 1e-6, "sum_of_squares");
      });
  b.row(
      "adam" + count, {28.0 * static_cast<double>(p), 0},
      [&] {
        return adam_cuda(b.context(),
                         {w, g, mean, variance, 1, 1e-4f, 0.9f, 0.999f, 1e-8f, 0, 1, 1, 0});
      },
      [&] {
        // The first step goes lr along the gradient's sign.
        const double last = b.row(g, 0).back();
        b.expect_near(b.row(w, 0).back(), values.back() - (last > 0 ? 1e-4 : -1e-4), 1e-6, "adam");
      });
  b.release();
}

void sampling(Bench& b) {
  const int64_t v = b.size(32128, 500);
  const struct {
    int64_t rows;
    double target;
  } batches[] = {{1, 8}, {32, 10}, {128, 16}};
  for (const auto& batch : batches) {
    const int64_t m = b.size(batch.rows, (batch.rows + 63) / 64);
    precis_sample_args args = {};
    args.logits = b.tensor(PRECIS_FLOAT32, {m, v}, 12);
    args.rules.repetition_penalty = 1;
    args.streams = b.array(std::vector<uint64_t>(static_cast<size_t>(m), 1));
    args.offsets = b.array(std::vector<uint64_t>(static_cast<size_t>(m), 1));
    args.tokens = b.array(std::vector<int32_t>(static_cast<size_t>(m), -1));
    args.temperature = 0.9f;
    const double bytes = static_cast<double>(m * v) * 4;
    const std::string of =
        std::string(" of ") + std::to_string(m) + " rows of " + std::to_string(v);
    for (bool warped : {false, true}) {
      args.top_k = warped ? 50 : 0;
      args.top_p = warped ? 0.9f : 1;
      b.row((warped ? "sample, top-k and top-p," : "sample") + of, {bytes, 0, batch.target},
            [&] { return sample_cuda(b.context(), args); },
            [&] {
              std::vector<int32_t> tokens(static_cast<size_t>(m), -1);
              check(
                  cudaMemcpy(tokens.data(), args.tokens, tokens.size() * 4, cudaMemcpyDeviceToHost),
                  "cudaMemcpy");
              for (int64_t r = 0; r < m; r++) {
                const int32_t token = tokens[static_cast<size_t>(r)];
                b.expect(token >= 0 && token < v, "a sampled token is none");
                if (token < 0 || token >= v || !warped || r > 3) continue;
                const std::vector<double> row = b.row(args.logits, r);
                const double own = row[static_cast<size_t>(token)];
                b.expect(
                    std::count_if(row.begin(), row.end(), [=](double x) { return x > own; }) < 50,
                    "a sampled token is not among the 50 best");
              }
            });
    }
    const precis_tensor out = b.tensor(PRECIS_FLOAT32, {m, v});
    b.row(
        "log-softmax" + of, {2 * bytes, 0},
        [&] {
          return softmax_cuda(b.context(), {args.logits, out, 1, 0});
        },
        [&] {
          const std::vector<double> in = b.row(args.logits, m - 1), got = b.row(out, m - 1);
          double sum = 0;
          for (double x : got) sum += std::exp(x);
          b.expect_near(sum, 1, 1e-4, "the sum of a softmax");
          b.expect_near(got[1] - got[0], in[1] - in[0], 1e-4, "log-softmax");
        });
    b.release();
  }
}

// One query's attention in a head of 64 columns, by plain loops. bias(i): what key i's score gets.
void expect_attention(Bench& b, const precis_tensor& q, const precis_tensor& k,
                      const precis_tensor& v, const precis_tensor& out, int64_t query,
                      int64_t first_key, int64_t keys, int64_t head,
                      const std::function<double(int64_t)>& bias) {
  constexpr int64_t kHead = 64;
  const int64_t inner = q.dims[1], begin = head * kHead;
  const auto part = [&](const precis_tensor& t, int64_t row) {
    const std::vector<double> whole = b.row(t, row);
    return std::vector<double>(whole.begin() + begin, whole.begin() + begin + kHead);
  };
  const std::vector<double> own = part(q, query), got = part(out, query);
  const std::vector<double> all_k = b.rows(k.data, k.dtype, inner, first_key, inner, keys);
  const std::vector<double> all_v = b.rows(v.data, v.dtype, inner, first_key, inner, keys);
  std::vector<double> scores;
  double top = -1e30, sum = 0, want = 0;
  for (int64_t i = 0; i < keys; i++) {
    double score = bias(i);
    for (int64_t c = 0; c < kHead; c++) {
      score += own[static_cast<size_t>(c)] * all_k[static_cast<size_t>(i * inner + begin + c)];
    }
    scores.push_back(score);
    top = std::max(top, score);
  }
  for (int64_t i = 0; i < keys; i++) {
    const double weight = std::exp(scores[static_cast<size_t>(i)] - top);
    sum += weight;
    want += weight * all_v[static_cast<size_t>(i * inner + begin + 5)];
  }
  b.expect_near(got[5], want / sum, kBfloat16, "attention");
}

void attentions(Bench& b) {
  const int32_t heads = static_cast<int32_t>(b.size(12, 2));
  const int32_t length = static_cast<int32_t>(b.size(512, 40));
  const int64_t inner = heads * 64;
  const precis_tensor bias = b.tensor(PRECIS_FLOAT32, {32, heads});
  for (int64_t full : {1, 32, 128}) {
    const int64_t m = b.size(full, (full + 63) / 64);
    precis_attention_decode_args args = {};
    args.q = b.tensor(PRECIS_BFLOAT16, {m, inner}, 0.3f);
    args.k_cache = b.tensor(PRECIS_BFLOAT16, {m * length, inner}, 0.3f);
    args.v_cache = b.tensor(PRECIS_BFLOAT16, {m * length, inner});
    args.out = b.tensor(PRECIS_BFLOAT16, {m, inner});
    std::vector<int32_t> starts;
    for (int64_t r = 0; r < m; r++) starts.push_back(static_cast<int32_t>(r * length));
    args.key_starts = b.array(starts);
    args.lengths = b.array(std::vector<int32_t>(static_cast<size_t>(m), length));
    args.heads = heads;
    args.max_distance = 128;
    args.scale = 1;
    b.row(
        std::string("attention_decode ") + std::to_string(m) + " rows, " + std::to_string(length) +
            " keys",
        {static_cast<double>(m * length * inner) * 4, 0},
        [&] { return attention_decode_cuda(b.context(), args); },
        [&] {
          expect_attention(b, args.q, args.k_cache, args.v_cache, args.out, m - 1, (m - 1) * length,
                           length, heads - 1, [](int64_t) { return 0.0; });
        });
  }
  const int32_t sequences = static_cast<int32_t>(b.size(16, 2));
  std::vector<int32_t> offsets;
  for (int32_t s = 0; s <= sequences; s++) offsets.push_back(s * length);
  precis_attention_args args = {};
  args.q = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner}, 0.3f);
  args.k = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner}, 0.3f);
  args.v = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner});
  args.out = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner});
  args.bias = bias;
  args.query_offsets = args.key_offsets = b.array(offsets);
  args.sequences = sequences;
  args.heads = heads;
  args.bidirectional = 1;
  args.max_distance = 128;
  args.scale = 1;
  const double tokens = static_cast<double>(sequences) * length;
  b.row(
      std::string("attention ") + std::to_string(sequences) + "x" + std::to_string(length) +
          ", bias",
      {tokens * static_cast<double>(inner) * 8, 4.0 * tokens * length * static_cast<double>(inner)},
      [&] { return attention_cuda(b.context(), args); },
      [&] {
        const int64_t query = length / 3, head = heads - 1;
        const std::vector<double> table = b.rows(bias.data, bias.dtype, heads, 0, heads, 32);
        expect_attention(b, args.q, args.k, args.v, args.out, length + query, length, length, head,
                         [&](int64_t key) {
                           const int64_t bucket =
                               relative_position_bucket(key - query, 32, 128, true);
                           return table[static_cast<size_t>(bucket * heads + head)];
                         });
      });
  b.release();
}

// A training step's: the source's own, the target's own, and from target to source.
void attention_gradients(Bench& b) {
  const int32_t heads = static_cast<int32_t>(b.size(12, 2)), sequences = 8;
  const int64_t inner = heads * 64;
  struct Shape {
    const char* name;
    int32_t queries, keys;
    bool causal, bias;
  };
  const int32_t source = static_cast<int32_t>(b.size(256, 20));
  const int32_t target = static_cast<int32_t>(b.size(64, 9));
  const Shape shapes[] = {{"encoder 8x256, bias", source, source, false, true},
                          {"decoder 8x64, bias", target, target, true, true},
                          {"cross 8x64 on 256", target, source, false, false}};
  for (const auto& s : shapes) {
    std::vector<int32_t> query_offsets, key_offsets;
    for (int32_t i = 0; i <= sequences; i++) {
      query_offsets.push_back(i * s.queries);
      key_offsets.push_back(i * s.keys);
    }
    const int64_t m = sequences * s.queries, n = sequences * s.keys;
    precis_attention_backward_args args = {};
    precis_attention_args& f = args.forward;
    f.q = b.tensor(PRECIS_BFLOAT16, {m, inner}, 0.3f);
    f.k = b.tensor(PRECIS_BFLOAT16, {n, inner}, 0.3f);
    f.v = b.tensor(PRECIS_BFLOAT16, {n, inner});
    f.out = b.tensor(PRECIS_BFLOAT16, {m, inner});
    f.log_sum_exp = b.tensor(PRECIS_FLOAT32, {m, heads});
    if (s.bias) f.bias = b.tensor(PRECIS_FLOAT32, {32, heads});
    f.query_offsets = b.array(query_offsets);
    f.key_offsets = b.array(key_offsets);
    f.sequences = sequences;
    f.heads = heads;
    f.causal = s.causal;
    f.bidirectional = !s.causal;
    f.max_distance = 128;
    f.scale = 1;
    args.dout = b.tensor(PRECIS_BFLOAT16, {m, inner});
    args.dq = b.tensor(PRECIS_BFLOAT16, {m, inner});
    args.dk = b.tensor(PRECIS_BFLOAT16, {n, inner});
    args.dv = b.tensor(PRECIS_BFLOAT16, {n, inner});
    // Five products, of those pairs that see each other.
    const double pairs = static_cast<double>(m) * s.keys / (s.causal ? 2 : 1);
    const double rows = static_cast<double>(m + n) * static_cast<double>(inner);
    const std::string name = std::string("attention ") + s.name;
    b.row(
        name, {rows * 4, 4 * pairs * static_cast<double>(inner)},
        [&] { return attention_cuda(b.context(), f); },
        [&] { b.expect_finite(f.out, "attention is not finite"); });
    const Work work = {rows * 8, 10 * pairs * static_cast<double>(inner)};
    const auto backward = [&] { return attention_backward_cuda(b.context(), args); };
    const auto finite = [&] {
      for (const precis_tensor& t : {args.dq, args.dk, args.dv}) {
        b.expect_finite(t, "a gradient of attention is not finite");
      }
    };
    // What a sum over the keys of dv is: the same of dout, because probabilities add up to 1.
    const auto verify = [&] {
      finite();
      double got = 0, want = 0, size = 0;
      for (int64_t r = 0; r < s.keys; r++) got += b.row(args.dv, r)[3];
      for (int64_t r = 0; r < s.queries; r++) {
        want += b.row(args.dout, r)[3];
        size += std::fabs(b.row(args.dout, r)[3]);
      }
      b.expect(std::fabs(got - want) <= kBfloat16 * (1 + size), "the sum of dv");
    };
    b.row("  its gradients", work, backward, verify);
    f.dropout = 0.1f;
    b.row("  with dropout", work, backward, finite);
    if (!s.bias) continue;
    args.dbias = b.tensor(PRECIS_FLOAT32, {32, heads}, 0);
    b.row("  with dropout and dbias", work, backward,
          [&] { b.expect_finite(args.dbias, "dbias is not finite"); });
  }
  b.release();
}

// y = alpha x w' at a few places.
void expect_product(Bench& b, const precis_tensor& x, const precis_packed_matrix& w,
                    const precis_tensor& y, const char* what) {
  for (int64_t row : {int64_t{0}, x.dims[0] - 1}) {
    const std::vector<double> in = b.row(x, row), got = b.row(y, row);
    for (int64_t column : {int64_t{0}, w.outputs / 2, w.outputs - 1}) {
      b.expect_near(got[static_cast<size_t>(column)], Bench::dot(in, b.row(w, column)), kBfloat16,
                    what);
    }
  }
}

// Beside each product its own without adapters, and cuBLASLt's where there is one: what the fusion
// costs. Backward are the gradients of x, A and B; what they are held to is that of x alone.
void products(Bench& b) {
  struct Shape {
    int64_t m, n, k;
    bool brief;
  };
  const std::vector<Shape> full = {{8192, 768, 768, true},  {8192, 2304, 768, false},
                                   {8192, 4096, 768, true}, {8192, 768, 2048, true},
                                   {2048, 768, 768, false}, {32, 768, 768, false},
                                   {1, 2304, 768, false}};
  const std::vector<Shape> tiny = {{65, 80, 72, true}};
  for (const Shape& s : b.options().tiny ? tiny : full) {
    if (b.options().quick && !s.brief) continue;
    const precis_tensor x = b.tensor(PRECIS_BFLOAT16, {s.m, s.k});
    const precis_tensor y = b.tensor(PRECIS_BFLOAT16, {s.m, s.n});
    const precis_tensor dy = b.tensor(PRECIS_BFLOAT16, {s.m, s.n});
    const precis_tensor dx = b.tensor(PRECIS_BFLOAT16, {s.m, s.k});
    const precis_tensor values = b.tensor(PRECIS_FLOAT32, {s.n, s.k}, 0.03f);
    const precis_packed_matrix w = b.pack(values), w_transposed = b.pack(values, true);
    const std::string name =
        std::to_string(s.m) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k);
    const Work work = {2.0 * static_cast<double>(s.m * s.k + s.n * s.k + s.m * s.n),
                       2.0 * static_cast<double>(s.m) * static_cast<double>(s.n * s.k)};
    const auto forward = [&] { return matmul_cuda(b.context(), {x, w, y, 1, 0}); };
    const auto backward = [&] { return matmul_cuda(b.context(), {dy, w_transposed, dx, 1, 0}); };
    const auto verify_forward = [&] { expect_product(b, x, w, y, "matmul"); };
    const auto verify_backward = [&] { expect_product(b, dy, w_transposed, dx, "its dx"); };
    double frozen = b.row("matmul " + name, work, forward, verify_forward);
    if (const Wgmma wgmma = b.context().wgmma; wgmma != Wgmma::kOff && s.m > 32) {
      b.context().wgmma = Wgmma::kOff;
      b.row("  by mma.sync", work, forward, verify_forward);
      b.context().wgmma = wgmma;
    }
    double frozen_backward = b.row("  its dx", work, backward, verify_backward);
    if (b.cublaslt() != nullptr) {
      b.context().cublaslt = b.cublaslt();
      frozen = b.row("cuBLASLt " + name, work, forward, verify_forward);
      frozen_backward = b.row("  its dx", work, backward, verify_backward);
      b.context().cublaslt = nullptr;
    }
    for (int64_t ranks : {16, 32, 64}) {
      if ((b.options().quick || b.options().tiny) && ranks == 64) continue;
      const precis_tensor a_values = b.tensor(PRECIS_FLOAT32, {ranks, s.k}, 0.3f);
      const precis_tensor b_values = b.tensor(PRECIS_FLOAT32, {s.n, ranks}, 0.3f);
      precis_lora_matmul_args args = {};
      args.x = x;
      args.w = w;
      args.a = b.pack(a_values);
      args.b = b.pack(b_values);
      args.y = y;
      args.down = b.tensor(PRECIS_FLOAT32, {s.m, ranks});
      args.segments[0] = {0, s.n, 0, ranks, 1, 0};
      args.segment_count = 1;
      args.alpha = 1;
      const double low = 2.0 * static_cast<double>(ranks * (s.k + s.n));
      const std::string of = " " + name + " rank " + std::to_string(ranks);
      const bool wanted = s.m > 32 && ranks <= 32;
      const double us = b.row(
          "lora_matmul" + of,
          {work.bytes + low, work.operations + low * static_cast<double>(s.m),
           wanted ? 1.10 * frozen : 0},
          [&] { return lora_matmul_cuda(b.context(), args); },
          [&] {
            const std::vector<double> in = b.row(x, s.m - 1), got = b.row(y, s.m - 1);
            const int64_t column = s.n - 1;
            const std::vector<double> up = b.row(args.b, column);
            double want = Bench::dot(in, b.row(w, column));
            for (int64_t r = 0; r < ranks; r++) {
              want += Bench::dot(in, b.row(args.a, r)) * up[static_cast<size_t>(r)];
            }
            b.expect_near(got.back(), want, kBfloat16, "lora_matmul");
          });

      precis_lora_matmul_args gradient = args;
      gradient.x = dy;
      gradient.w = w_transposed;
      gradient.a = b.pack(b_values, true);
      gradient.b = b.pack(a_values, true);
      gradient.y = dx;
      gradient.down = b.tensor(PRECIS_FLOAT32, {s.m, ranks});
      gradient.segments[0].output_end = s.k;
      const precis_tensor da = b.tensor(PRECIS_FLOAT32, {ranks, s.k});
      const precis_tensor db = b.tensor(PRECIS_FLOAT32, {s.n, ranks});
      const double backward_us = b.row(
          "  its dx, dA and dB",
          {work.bytes + low, work.operations + 2 * low * static_cast<double>(s.m),
           wanted ? 1.15 * frozen_backward : 0},
          [&] {
            PRECIS_RETURN_IF_ERROR(lora_matmul_cuda(b.context(), gradient));
            PRECIS_RETURN_IF_ERROR(weight_gradient_cuda(
                b.context(), {gradient.down, x, da, 1, PRECIS_BFLOAT16, 0, 0}));
            return weight_gradient_cuda(b.context(), {dy, args.down, db, 1, PRECIS_BFLOAT16, 0, 0});
          },
          [&] {
            b.expect_finite(dx, "dx is not finite");
            // One element of each gradient, from what it is a sum of.
            double want_a = 0, want_b = 0, size_a = 0, size_b = 0;
            const std::vector<double> dt =
                b.rows(gradient.down.data, PRECIS_FLOAT32, 1, 0, s.m * ranks);
            const std::vector<double> t = b.rows(args.down.data, PRECIS_FLOAT32, 1, 0, s.m * ranks);
            const std::vector<double> all_x = b.rows(x.data, x.dtype, 1, 0, s.m * s.k);
            const std::vector<double> all_dy = b.rows(dy.data, dy.dtype, 1, 0, s.m * s.n);
            for (int64_t i = 0; i < s.m; i++) {
              const double a_term = dt[static_cast<size_t>(i * ranks)] *
                                    all_x[static_cast<size_t>(i * s.k + s.k - 1)];
              const double b_term = all_dy[static_cast<size_t>(i * s.n + s.n - 1)] *
                                    t[static_cast<size_t>(i * ranks)];
              want_a += a_term;
              want_b += b_term;
              size_a += a_term * a_term;
              size_b += b_term * b_term;
            }
            b.expect(std::fabs(b.row(da, 0).back() - want_a) <= kBfloat16 * std::sqrt(size_a),
                     "dA");
            b.expect(std::fabs(b.row(db, s.n - 1)[0] - want_b) <= kBfloat16 * std::sqrt(size_b),
                     "dB");
          });
      std::printf("%46s %.2fx forward, %.2fx backward of the product alone%s\n", "", us / frozen,
                  backward_us / frozen_backward,
                  b.cublaslt() != nullptr ? " by cuBLASLt" : " by our kernel");
    }
    b.release();
  }
}

// The losses over the vocabulary. A product over all of w for the logits, one for each gradient; w
// is read for each of them and dw read and written.
void losses(Bench& b) {
  const int64_t v = b.size(32128, 300), d = b.size(768, 72);
  const precis_tensor values = b.tensor(PRECIS_FLOAT32, {v, d}, 0.03f);
  const precis_packed_matrix w = b.pack(values), w_transposed = b.pack(values, true);
  const precis_tensor dw = b.tensor(PRECIS_FLOAT32, {v, d});
  for (int64_t full : {8, 512, 2048}) {
    if ((b.options().quick || b.options().tiny) && full != 2048) continue;
    const int64_t m = b.size(full, 9);
    const precis_tensor x = b.tensor(PRECIS_BFLOAT16, {m, d});
    const precis_tensor reference_x = b.tensor(PRECIS_BFLOAT16, {m, d});
    const precis_tensor dx = b.tensor(PRECIS_FLOAT32, {m, d});
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < m; i++) ids.push_back(static_cast<int32_t>(i * 7919 % v));
    precis_tensor labels = b.tensor(PRECIS_FLOAT32, {m});
    labels.data = b.array(ids);
    labels.dtype = PRECIS_INT32;
    std::vector<precis_tensor> columns;
    for (int i = 0; i < 10; i++) columns.push_back(b.tensor(PRECIS_FLOAT32, {m}, 0.1f));
    const double product = 2.0 * static_cast<double>(m) * static_cast<double>(v * d);
    const double weight = 2.0 * static_cast<double>(v * d);
    const double x_bytes = 2.0 * static_cast<double>(m * d), dx_bytes = 2 * x_bytes;
    const std::string shape = std::to_string(m) + "x" + std::to_string(v) + "x" + std::to_string(d);
    // The last row's log-probability and entropy.
    const std::vector<double> in = b.row(x, m - 1);
    std::vector<double> logits;
    for (int64_t i = 0; i < v; i++) logits.push_back(Bench::dot(in, b.row(w, i)));
    double sum = 0, mean = 0;
    for (double logit : logits) sum += std::exp(logit);
    for (double logit : logits) mean += std::exp(logit) / sum * logit;
    const double own = logits[static_cast<size_t>(ids.back())] - std::log(sum);
    const double entropy = std::log(sum) - mean;
    double all = 0;
    for (double logit : logits) all += logit / static_cast<double>(v);
    const double smooth = 0.9 * -own + 0.1 * (std::log(sum) - all);

    // What the operation takes besides its arguments, against three float32 tensors of logits that
    // a loss in eager mode has at once: themselves, their log-softmax and their gradient.
    const auto extra = [&](const char* name) {
      const double mine = static_cast<double>(b.context().scratch.bytes);
      const double eager = 12.0 * static_cast<double>(m * v);
      std::printf("%46s extra memory of %s %.1f MB; eager mode's %.0f MB are %.0f times that", "",
                  name, mine / 1e6, eager / 1e6, eager / std::max(mine, 1.0));
      std::printf("%s\n", m < 2048 ? "" : eager >= 50 * mine ? " (50: met)" : " (50: MISSED)");
    };
    const auto fresh = [&] {
      check(cudaFree(b.context().scratch.memory), "cudaFree");
      b.context().scratch = {};
    };

    const precis_tensor y = b.tensor(PRECIS_BFLOAT16, {m, v});
    if (b.cublaslt() != nullptr) b.context().cublaslt = b.cublaslt();
    const double plain = b.row((b.cublaslt() != nullptr ? "cuBLASLt " : "matmul ") + shape,
                               {weight + x_bytes + 2.0 * static_cast<double>(m * v), product},
                               [&] {
                                 return matmul_cuda(b.context(), {x, w, y, 1, 0});
                               },
                               [&] { expect_product(b, x, w, y, "matmul"); });
    b.context().cublaslt = nullptr;

    precis_log_probability_args p = {};
    p.x = x;
    p.w = w;
    p.labels = labels;
    p.log_probabilities = columns[0];
    p.entropies = columns[1];
    p.scale = 1;
    fresh();
    b.row(
        "log_probability, entropy " + shape, {weight + x_bytes, product},
        [&] { return log_probability_cuda(b.context(), p); },
        [&] {
          b.expect_near(b.row(columns[0], 0).back(), own, 1e-3, "a log-probability");
          b.expect_near(b.row(columns[1], 0).back(), entropy, 1e-3, "an entropy");
        });
    extra("it");
    p.reference_x = reference_x;
    p.reference_w = w;
    p.divergences = columns[2];
    b.row(
        "log_probability, divergence " + shape, {weight + 2 * x_bytes, 2 * product},
        [&] { return log_probability_cuda(b.context(), p); },
        [&] {
          b.expect_near(b.row(columns[0], 0).back(), own, 1e-3, "a log-probability");
          b.expect(b.row(columns[2], 0).back() > 0, "a divergence is not positive");
        });

    precis_linear_cross_entropy_args e = {};
    e.x = x;
    e.w = w;
    e.w_transposed = w_transposed;
    e.labels = labels;
    e.losses = columns[0];
    e.scale = e.grad_scale = 1;
    e.label_smoothing = 0.1f;
    e.dx = dx;
    const auto verify_loss = [&] {
      b.expect_near(b.row(columns[0], 0).back(), smooth, 1e-3, "a cross-entropy");
      b.expect_finite(dx, "dx of a cross-entropy is not finite");
    };
    fresh();
    b.row(
        "linear_cross_entropy, dx " + shape, {2 * weight + x_bytes + dx_bytes, 2 * product},
        [&] { return linear_cross_entropy_cuda(b.context(), e); }, verify_loss);
    extra("it");
    e.dw = dw;
    b.row(
        "linear_cross_entropy, dx, dw " + shape, {6 * weight + x_bytes + dx_bytes, 3 * product},
        [&] { return linear_cross_entropy_cuda(b.context(), e); }, verify_loss);

    precis_ppo_loss_args l = {};
    l.x = x;
    l.w = w;
    l.w_transposed = w_transposed;
    l.actions = labels;
    l.weights = columns[9];
    l.old_log_probabilities = columns[1];
    l.advantages = columns[2];
    l.reference_log_probabilities = columns[3];
    l.values = columns[4];
    l.old_values = l.returns = columns[5];
    l.log_probabilities = columns[6];
    l.entropies = columns[7];
    l.policy_losses = columns[8];
    l.dx = dx;
    l.scale = 1;
    l.clip_range_low = l.clip_range_high = l.clip_range_value = 0.2f;
    l.entropy_coefficient = l.kl_coefficient = 0.01f;
    fresh();
    // Eager mode's own time is for PyTorch to tell. Its three products and eight passes over
    // float32 logits take at least so long.
    const double eager = 3 * plain + 8 * 4e-3 * static_cast<double>(m * v) / b.bandwidth();
    const double us = b.row(
        "ppo_loss, dx " + shape,
        {2 * weight + x_bytes + dx_bytes, 2 * product, m < 2048 ? 0 : eager / 1.8},
        [&] { return ppo_loss_cuda(b.context(), l); },
        [&] {
          b.expect_near(b.row(columns[6], 0).back(), own, 1e-3, "PPO's log-probability");
          b.expect_near(b.row(columns[7], 0).back(), entropy, 1e-3, "PPO's entropy");
          b.expect_finite(dx, "dx of PPO's loss is not finite");
        });
    std::printf("%46s products and passes of eager mode take at least %.0f us, %.2fx (1.8)\n", "",
                eager, us > 0 ? eager / us : 0);
    extra("it");
  }
  b.release();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i++) {
    const std::string argument = argv[i];
    if (argument == "--quick") {
      options.quick = true;
    } else if (argument == "--tiny") {
      options.tiny = true;
      options.repeats = 1;
    } else if (argument == "--repeats" && i + 1 < argc) {
      options.repeats = std::max(std::atoi(argv[++i]), 1);
    } else if (argument == "--csv" && i + 1 < argc) {
      options.csv = argv[++i];
    } else {
      std::fprintf(stderr, "usage: kernels_bench [--quick] [--repeats N] [--csv FILE]\n");
      return 2;
    }
  }
  int wrong = 0;
  {
    Bench bench(options);
    rows_and_elements(bench);
    sampling(bench);
    attentions(bench);
    attention_gradients(bench);
    products(bench);
    losses(bench);
    wrong = bench.wrong();
  }
  if (wrong > 0) std::fprintf(stderr, "%d results are wrong\n", wrong);
  return wrong > 0 ? 1 : 0;
}
