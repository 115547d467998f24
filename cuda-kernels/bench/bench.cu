// Measures how long each kernel takes on this GPU: percentiles of repeats between events, with cold
// L2. The bandwidth of the bytes that a kernel has to move is shown as a share of what a copy of
// 1 GiB reaches on the same GPU, floating-point operations as a share of what a large product
// reaches, and where there is a target, whether it is met. Shapes are those of T5-base.
//
//   kernels_bench [--quick] [--repeats N] [--csv FILE] [OP...]
//
// --quick measures a subset of the shapes; OP... measures these operations alone. --tiny is for the
// emulator: it uses other shapes, whose times mean nothing. The exit status is 1 if a result is
// wrong and 77 without a GPU; a missed target is not a failure.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>

#include "bench.h"
#include "machine.h"
#include "wgmma_trial.h"

namespace precis {
namespace {

struct Entry {
  const char* op;
  void (*run)(Bench& b);
};
std::vector<Entry>& registry() {
  static std::vector<Entry> entries;
  return entries;
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

// The driver's version, which only Linux tells.
std::string driver_version() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string word;
  while (file >> word) {
    if (word.size() > 3 && word.find_first_not_of("0123456789.") == std::string::npos) return word;
  }
  return "unknown";
}

}  // namespace

BenchRegistration::BenchRegistration(const char* op, void (*run)(Bench& b)) {
  registry().push_back({op, run});
}

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

Bench::Bench(const BenchOptions& options) : options_(options) {
  std::string name;
  if (!open_machine(&context_, &name)) {
    std::fprintf(stderr, "no CUDA device: %s\n", name.c_str());
    std::exit(77);
  }
  check(cudaStreamCreateWithFlags(&context_.stream, 0), "cudaStreamCreateWithFlags");
  check(cudaMalloc(reinterpret_cast<void**>(&context_.problem), sizeof kNoProblem), "cudaMalloc");
  check(cudaMemcpy(context_.problem, &kNoProblem, sizeof kNoProblem, cudaMemcpyHostToDevice),
        "cudaMemcpy");
  flush_bytes_ = size_t{1} << (options.tiny ? 12 : 28);  // larger than any L2
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

Bench::~Bench() {
  release();
  check(cudaEventDestroy(stop_), "cudaEventDestroy");
  check(cudaEventDestroy(start_), "cudaEventDestroy");
  check(cudaFree(flush_), "cudaFree");
  check(cudaFree(context_.scratch.memory), "cudaFree");
  check(cudaFree(context_.problem), "cudaFree");
  check(cudaStreamDestroy(context_.stream), "cudaStreamDestroy");
  if (csv_ != nullptr && std::fclose(csv_) != 0) {
    std::fprintf(stderr, "%s could not be written\n", options_.csv);
    wrong_++;
  }
}

void* Bench::allocate(size_t bytes) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, bytes), "cudaMalloc");
  memory_.push_back(memory);
  return memory;
}

void Bench::release() {
  for (void* memory : memory_) check(cudaFree(memory), "cudaFree");
  memory_.clear();
}

precis_tensor Bench::tensor(int32_t dtype, std::vector<int64_t> dims, float scale) {
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

precis_tensor Bench::ids(const std::vector<int32_t>& values) {
  precis_tensor t = {};
  t.data = array(values);
  t.dims[0] = static_cast<int64_t>(values.size());
  t.rank = 1;
  t.dtype = PRECIS_INT32;
  return t;
}

precis_packed_matrix Bench::pack(const precis_tensor& values, bool transposed) {
  precis_matmul_pack_args args = {};
  args.weights[0] = values;
  args.weight_count = 1;
  args.dtype = PRECIS_BFLOAT16;
  args.transposed = transposed;
  const int64_t outputs = values.dims[transposed ? 1 : 0], inputs = values.dims[transposed ? 0 : 1];
  args.packed_bytes = cuda_packed_layout(outputs, inputs, PRECIS_BFLOAT16).bytes;
  args.packed = allocate(static_cast<size_t>(args.packed_bytes));
  check(matmul_pack_cuda(context_, args), "matmul_pack");
  check(cudaStreamSynchronize(context_.stream), "matmul_pack");
  return {args.packed, args.packed_bytes, outputs, inputs, PRECIS_BFLOAT16, 0};
}

precis_packed_matrix Bench::weight(int64_t outputs, int64_t inputs, float scale) {
  return pack(tensor(PRECIS_FLOAT32, {outputs, inputs}, scale));
}

std::vector<double> Bench::rows(const void* data, int32_t dtype, int64_t stride, int64_t row,
                                int64_t columns, int64_t count) const {
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

std::vector<double> Bench::row(const precis_tensor& t, int64_t r) const {
  const int64_t columns = t.dims[t.rank - 1];
  return rows(t.data, t.dtype, columns, r, columns);
}

std::vector<double> Bench::row(const precis_packed_matrix& w, int64_t output) const {
  const CudaPackedLayout layout = cuda_packed_layout(w.outputs, w.inputs, w.dtype);
  return rows(w.data, w.dtype, layout.stride, output, w.inputs);
}

double Bench::dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += a[i] * b[i];
  return sum;
}

void Bench::expect(bool right, const char* what) {
  if (right) return;
  std::fprintf(stderr, "WRONG: %s\n", what);
  wrong_++;
}

void Bench::expect_near(double got, double want, double tolerance, const char* what) {
  if (std::fabs(got - want) <= tolerance * (1 + std::fabs(want))) return;
  std::fprintf(stderr, "WRONG: %s is %g, not %g\n", what, got, want);
  wrong_++;
}

void Bench::expect_finite(const precis_tensor& t, const char* what) {
  int64_t n = 1;
  for (int i = 0; i < t.rank; i++) n *= t.dims[i];
  bool finite = true, zeros = true;
  for (double v : rows(t.data, t.dtype, n, 0, n)) {
    finite &= std::isfinite(v);
    zeros &= v == 0;
  }
  expect(finite && !zeros, what);
}

double Bench::row(const std::string& name, const Work& work,
                  const std::function<cudaError_t()>& run, const std::function<void()>& verify) {
  check(run(), name.c_str());
  check(cudaStreamSynchronize(context_.stream), name.c_str());
  const int before = wrong_;
  verify();
  unsigned long long problem = kNoProblem;
  check(cudaMemcpy(&problem, context_.problem, sizeof problem, cudaMemcpyDeviceToHost),
        "cudaMemcpy");
  expect(problem == kNoProblem, "the kernel reports a bad input");
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

void Bench::ceilings() {
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
  const auto product = [&] { return matmul_cuda(context_, {x, w, y, 1, 0, 0, 0}); };
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

std::vector<double> Bench::percentiles(const std::function<cudaError_t()>& run) {
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

}  // namespace precis

using namespace precis;

int main(int argc, char** argv) {
  std::vector<Entry>& entries = registry();
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::strcmp(a.op, b.op) < 0; });
  BenchOptions options;
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
    } else if (argument[0] != '-' &&
               std::any_of(entries.begin(), entries.end(),
                           [&](const Entry& e) { return argument == e.op; })) {
      options.ops.push_back(argument);
    } else {
      std::fprintf(stderr, "usage: kernels_bench [--quick] [--repeats N] [--csv FILE] [OP...]\n");
      std::fprintf(stderr, "operations:");
      for (const Entry& e : entries) std::fprintf(stderr, " %s", e.op);
      std::fprintf(stderr, "\n");
      return 2;
    }
  }
  int wrong = 0;
  {
    Bench bench(options);
    for (const Entry& e : entries) {
      if (!options.ops.empty() &&
          std::find(options.ops.begin(), options.ops.end(), e.op) == options.ops.end()) {
        continue;
      }
      e.run(bench);
      bench.release();
    }
    wrong = bench.wrong();
  }
  if (wrong > 0) std::fprintf(stderr, "%d results are wrong\n", wrong);
  return wrong > 0 ? 1 : 0;
}
