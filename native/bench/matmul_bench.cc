// Measures matrix products at FLAN-T5-base's shapes, and the share of this machine's ceilings that
// they reach. Every product is compared with the
// reference before it is timed. Contenders alternate in short turns, of which the best and the
// median are printed: the best shows the speed of the code, and its distance from the median how
// busy the machine was.
//
//   matmul_bench [--threads T] [--isa NAME] [--rounds R] [--only TEXT]

#include <time.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "ceilings.h"
#include "matmul_cases.h"
#include "ops/lora_matmul.h"

using namespace precis;

namespace {

// One thread is timed by its own CPU time, which excludes other processes.
bool& alone() {
  static bool one = true;
  return one;
}
double now() {
  if (alone()) {
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

double best(const std::vector<double>& v) { return *std::min_element(v.begin(), v.end()); }

// ---------------------------------------------------------------- products

constexpr int32_t kTypes[] = {PRECIS_FLOAT32, PRECIS_BFLOAT16, PRECIS_INT8, PRECIS_INT4};
constexpr int kTypeCount = 4;

// One product, whose weights are cold or in the caches.
struct Case {
  int64_t m, k, n;
  int type;  // index into kTypes
  int64_t ranks;
  bool cold;
};

struct Contender {
  std::string name;
  std::function<void(int64_t)> call;
  std::vector<double> seconds;
};

class Matrix {
 public:
  Matrix(precis_context* context, int64_t n, int64_t k, int32_t dtype, int64_t copies,
         uint64_t seed)
      : context_(context), source_(PRECIS_FLOAT32, {n, k}) {
    Random random(seed);
    for (int64_t r = 0; r < n; r++) {
      float* p = row<float>(source_, r);
      for (int64_t c = 0; c < k; c++) p[c] = static_cast<float>(random.uniform() - 0.5);
    }
    args_.weights[0] = source_;
    args_.weight_count = 1;
    args_.dtype = dtype;
    int64_t bytes = 0;
    EXPECT_OK(context, precis_matmul_pack_size(context, &args_, &bytes));
    for (int64_t i = 0; i < copies; i++) {
      void* memory = nullptr;
      EXPECT_OK(context, precis_allocate(context, bytes, &memory));
      args_.packed = memory;
      args_.packed_bytes = bytes;
      EXPECT_OK(context, precis_matmul_pack(context, &args_));
      packed_.push_back({memory, bytes, n, k, dtype, 0});
    }
  }
  ~Matrix() {
    for (auto& p : packed_) precis_free(context_, const_cast<void*>(p.data), p.bytes);
  }
  const precis_packed_matrix& operator[](int64_t i) const { return packed_[i % packed_.size()]; }
  const precis_matmul_pack_args& args() const { return args_; }
  int64_t bytes() const { return packed_[0].bytes; }

 private:
  precis_context* context_;
  GuardedTensor source_;
  precis_matmul_pack_args args_ = {};
  std::vector<precis_packed_matrix> packed_;
};

// Compares rows 0 and m - 1 with the reference.
void verify(const char* name, const precis_lora_matmul_args& got, const Matrix& w, const Matrix* a,
            const Matrix* b) {
  for (int64_t r : {int64_t{0}, got.x.dims[0] - 1}) {
    GuardedTensor want(PRECIS_FLOAT32, {1, got.w.outputs});
    precis_lora_matmul_args args = got;
    args.x = some_rows(got.x, r, 1);
    args.y = want;
    if (a != nullptr) {
      lora_matmul_ref(args, w.args(), a->args(), b->args());
    } else {
      precis_matmul_args plain = {args.x, args.w, args.y, 1, 0, 0, 0};
      matmul_ref(plain, w.args());
    }
    expect_close(some_rows(got.y, r, 1), want, 1e-3, 0.05, name);
  }
}

void run_case(const Case& c, std::vector<TestContext*>& contexts, const Ceilings& ceilings,
              int rounds) {
  precis_context* first = *contexts[0];
  const int64_t bytes = packed_layout(c.n, c.k, kTypes[c.type]).bytes;
  const int64_t copies = c.cold ? std::max<int64_t>(1, (int64_t{192} << 20) / bytes) : 1;
  Matrix w(first, c.n, c.k, kTypes[c.type], copies, 1);
  const int32_t low = c.type == 0 ? PRECIS_FLOAT32 : PRECIS_BFLOAT16;
  std::unique_ptr<Matrix> a, b;
  if (c.ranks > 0) {
    a = std::make_unique<Matrix>(first, c.ranks, c.k, low, copies, 2);
    b = std::make_unique<Matrix>(first, c.n, c.ranks, low, copies, 3);
  }
  GuardedTensor x(c.type == 0 ? PRECIS_FLOAT32 : PRECIS_BFLOAT16, {c.m, c.k});
  GuardedTensor y(PRECIS_FLOAT32, {c.m, c.n});
  Random random(4);
  for (int64_t r = 0; r < c.m; r++) {
    for (int64_t i = 0; i < c.k; i++) store_element(x, r, i, random.uniform() - 0.5);
  }
  std::vector<Contender> contenders;
  for (TestContext* context : contexts) {
    precis_context* ctx = *context;
    const char* name = contexts.size() > 1 && context == contexts[1] ? "onednn" : "native";
    contenders.push_back({name,
                          [&, ctx](int64_t i) {
                            precis_matmul_args args = {x, w[i], y, 1, 0, 0, 0};
                            EXPECT_OK(ctx, precis_matmul(ctx, &args));
                          },
                          {}});
    contenders.back().call(0);
    precis_lora_matmul_args plain = {};
    plain.x = x;
    plain.y = y;
    plain.w = w[0];
    plain.alpha = 1;
    verify(name, plain, w, nullptr, nullptr);
    if (c.ranks > 0) {
      auto lora = [&, ctx](int64_t i) {
        precis_lora_matmul_args args = {};
        args.x = x;
        args.w = w[i];
        args.a = (*a)[i];
        args.b = (*b)[i];
        args.y = y;
        args.alpha = 1;
        args.segment_count = 1;
        args.segments[0] = {0, c.n, 0, c.ranks, 2.0f, 0};
        EXPECT_OK(ctx, precis_lora_matmul(ctx, &args));
      };
      lora(0);
      plain.a = (*a)[0];
      plain.b = (*b)[0];
      plain.segment_count = 1;
      plain.segments[0] = {0, c.n, 0, c.ranks, 2.0f, 0};
      verify("lora", plain, w, a.get(), b.get());
      contenders.push_back({std::string(name) + "+lora", lora, {}});
    }
  }
  // A turn takes a few milliseconds.
  double once = 1;
  for (int i = 0; i < 3; i++) {
    const double start = now();
    contenders[0].call(i);
    once = std::min(once, now() - start);
  }
  const int64_t calls = std::min<int64_t>(2000, 1 + static_cast<int64_t>(0.004 / once));
  int64_t next = 0;
  for (int round = 0; round < rounds; round++) {
    for (Contender& contender : contenders) {
      if (!c.cold) contender.call(next++);
      const double start = now();
      for (int64_t i = 0; i < calls; i++) contender.call(next++);
      contender.seconds.push_back((now() - start) / static_cast<double>(calls));
    }
  }
  const double plain = best(contenders[0].seconds);
  for (Contender& contender : contenders) {
    const double t = best(contender.seconds);
    const double flops = 2.0 * static_cast<double>(c.m) * c.n * c.k;
    std::printf(
        "%-8s M %4lld K %4lld N %5lld R %2lld %-4s %-12s %8.1f us (median %8.1f) %6.1f GFLOP/s "
        "%5.1f GB/s share %3.0f %%  x%.3f\n",
        dtype_text(kTypes[c.type]), static_cast<long long>(c.m), static_cast<long long>(c.k),
        static_cast<long long>(c.n), static_cast<long long>(c.ranks), c.cold ? "cold" : "hot",
        contender.name.c_str(), t * 1e6, median(contender.seconds) * 1e6, flops / t * 1e-9,
        bytes / t * 1e-9, ceilings.share(kTypes[c.type], flops, c.cold ? bytes : 0, 0, t),
        t / plain);
  }
  std::fflush(stdout);
}

void bench_pack(precis_context* context, int rounds) {
  constexpr int64_t kN = 4096, kK = 768, kCopies = 24;
  for (int32_t source : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
    GuardedTensor from(source, {kN * kCopies, kK});
    Random random(1);
    for (int64_t r = 0; r < kN * kCopies; r++) {
      for (int64_t c = 0; c < kK; c++)
        store_element(from, r, c, static_cast<double>((r * 31 + c * 17) % 255) - 127);
    }
    for (int32_t dtype : kTypes) {
      precis_matmul_pack_args args = {};
      args.weights[0] = some_rows(from, 0, kN);
      args.weight_count = 1;
      args.dtype = dtype;
      int64_t bytes = 0;
      EXPECT_OK(context, precis_matmul_pack_size(context, &args, &bytes));
      void* memory = nullptr;
      EXPECT_OK(context, precis_allocate(context, bytes * kCopies, &memory));
      std::vector<double> seconds;
      for (int round = 0; round < rounds; round++) {
        const double start = now();
        for (int64_t i = 0; i < kCopies; i++) {
          args.weights[0] = some_rows(from, i * kN, kN);
          args.packed = static_cast<char*>(memory) + i * bytes;
          args.packed_bytes = bytes;
          EXPECT_OK(context, precis_matmul_pack(context, &args));
        }
        seconds.push_back(now() - start);
      }
      const double moved =
          static_cast<double>(kCopies) * (kN * kK * (source == PRECIS_FLOAT32 ? 4 : 2) + bytes);
      std::printf(
          "pack %-8s -> %-8s first %6.1f ms, then %6.1f ms for 75.5 M weights, %5.1f GB/s read and "
          "written\n",
          dtype_text(source), dtype_text(dtype), seconds[0] * 1e3, median(seconds) * 1e3,
          moved / median(seconds) * 1e-9);
      EXPECT_OK(context, precis_free(context, memory, bytes * kCopies));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  int threads = 0, rounds = 15;
  const char *isa = nullptr, *only = "";
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--threads") == 0) threads = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--isa") == 0) isa = argv[i + 1];
    if (std::strcmp(argv[i], "--rounds") == 0) rounds = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--only") == 0) only = argv[i + 1];
  }
  TestContext native(isa, threads, "native"), onednn(isa, threads, "onednn");
  if (native.status() != PRECIS_OK) {
    std::printf("%s\n", native.error().c_str());
    return 2;
  }
  precis_context_info info;
  EXPECT_OK(native, precis_context_describe(native, &info));
  threads = info.threads;
  std::vector<TestContext*> contexts = {&native};
  if (onednn.status() == PRECIS_OK) {
    contexts.push_back(&onednn);
  } else {
    std::printf("without oneDNN: %s\n", onednn.error().c_str());
  }
  std::printf("%s, %d threads\n", info.isa, threads);
  alone() = threads == 1;
  const Ceilings ceilings(threads);
  ceilings.print();
  auto wanted = [&](const char* name) { return std::strstr(name, only) != nullptr; };
  for (int type = 0; type < kTypeCount; type++) {
    if (wanted((std::string("decode ") + dtype_text(kTypes[type])).c_str())) {
      for (int64_t m : {1, 2, 4, 6, 8, 16}) {
        run_case({m, 768, 32128, type, 0, true}, contexts, ceilings, rounds);
      }
      for (int64_t m : {1, 8}) {
        run_case({m, 768, 2304, type, 0, true}, contexts, ceilings, rounds);
        run_case({m, 2048, 768, type, 0, true}, contexts, ceilings, rounds);
      }
    }
  }
  for (int type = 0; type < kTypeCount; type++) {
    if (wanted((std::string("prefill ") + dtype_text(kTypes[type])).c_str())) {
      for (int64_t m : {32, 64, 256, 512, 2048}) {
        run_case({m, 768, 2304, type, 0, false}, contexts, ceilings, rounds);
        run_case({m, 768, 4096, type, 0, false}, contexts, ceilings, rounds);
        run_case({m, 2048, 768, type, 0, false}, contexts, ceilings, rounds);
        run_case({m, 768, 768, type, 0, false}, contexts, ceilings, rounds);
      }
    }
  }
  for (int type = 0; type < kTypeCount; type++) {
    if (wanted((std::string("lora ") + dtype_text(kTypes[type])).c_str())) {
      for (int64_t ranks : {32, 64}) {
        for (int64_t m : {1, 8, 256, 2048}) {
          run_case({m, 768, 768, type, ranks, m < 16}, contexts, ceilings, rounds);
          run_case({m, 768, 2304, type, ranks, m < 16}, contexts, ceilings, rounds);
        }
      }
    }
  }
  if (wanted("pack")) bench_pack(native, rounds);
  return test_result();
}
