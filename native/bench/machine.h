// Helpers that the attention benchmarks share: clocks, the machine's peak, tensors of random numbers.
#ifndef PRECIS_BENCH_MACHINE_H_
#define PRECIS_BENCH_MACHINE_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "test.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include <sched.h>

namespace precis {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Times {
  double least, p20, p50, p80;
};

// Calls f for about this many seconds, and at least 15 times.
template <class F>
inline Times measure(const F& f, double duration = 0.7) {
  std::vector<double> seconds;
  f();
  const double start = now();
  while (seconds.size() < 15 || (now() - start < duration && seconds.size() < 2000)) {
    const double t = now();
    f();
    seconds.push_back(now() - t);
  }
  std::sort(seconds.begin(), seconds.end());
  const size_t n = seconds.size();
  return {seconds[0], seconds[n / 5], seconds[n / 2], seconds[n * 4 / 5]};
}

// Runs f(thread) on pinned threads, round after round, and returns the shortest time in which all
// of them finished a round.
template <class F>
inline double measure_threads(int threads, int rounds, const F& f) {
  std::vector<std::vector<double>> starts(threads), ends(threads);
  std::atomic<int> arrived{0};
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; i++) {
    workers.emplace_back([&, i] {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(i, &set);
      (void)sched_setaffinity(0, sizeof set, &set);
      for (int round = 0; round < rounds; round++) {
        arrived++;
        while (arrived < (round + 1) * threads) std::this_thread::yield();
        starts[i].push_back(now());
        f(i);
        ends[i].push_back(now());
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  double least = 1e9;
  for (int round = 0; round < rounds; round++) {
    double first = starts[0][round], last = ends[0][round];
    for (int i = 1; i < threads; i++) {
      first = std::min(first, starts[i][round]);
      last = std::max(last, ends[i][round]);
    }
    least = std::min(least, last - first);
  }
  return least;
}

// Few enough that some runs are not interrupted by other processes.
constexpr int64_t kPeakSteps = 50'000;

#if defined(__x86_64__)
#define PRECIS_PEAK(name, isa, flops, type, zero, step)                                      \
  __attribute__((target(isa))) double name() {                                               \
    type a = zero(), c0 = a, c1 = a, c2 = a, c3 = a, c4 = a, c5 = a, c6 = a, c7 = a, c8 = a, \
         c9 = a;                                                                             \
    asm volatile("" : "+v"(a));                                                              \
    for (int64_t i = 0; i < kPeakSteps; i++) {                                               \
      c0 = step(c0);                                                                         \
      c1 = step(c1);                                                                         \
      c2 = step(c2);                                                                         \
      c3 = step(c3);                                                                         \
      c4 = step(c4);                                                                         \
      c5 = step(c5);                                                                         \
      c6 = step(c6);                                                                         \
      c7 = step(c7);                                                                         \
      c8 = step(c8);                                                                         \
      c9 = step(c9);                                                                         \
      asm volatile(""                                                                        \
                   : "+v"(c0), "+v"(c1), "+v"(c2), "+v"(c3), "+v"(c4), "+v"(c5), "+v"(c6),   \
                     "+v"(c7), "+v"(c8), "+v"(c9));                                          \
    }                                                                                        \
    return 10.0 * kPeakSteps * flops;                                                        \
  }
#define PRECIS_DOT(x) _mm512_dpbf16_ps(x, (__m512bh)a, (__m512bh)a)
#define PRECIS_FMA512(x) _mm512_fmadd_ps(a, a, x)
#define PRECIS_FMA256(x) _mm256_fmadd_ps(a, a, x)
PRECIS_PEAK(peak_avx512_bf16, "avx512f,avx512bf16", 64, __m512, _mm512_setzero_ps, PRECIS_DOT)
PRECIS_PEAK(peak_avx512, "avx512f", 32, __m512, _mm512_setzero_ps, PRECIS_FMA512)
PRECIS_PEAK(peak_avx2, "avx2,fma", 16, __m256, _mm256_setzero_ps, PRECIS_FMA256)
#undef PRECIS_PEAK
#endif

// Returns the operations per second of arithmetic in registers, or 0 if unknown.
inline double peak(const std::string& isa, int32_t dtype, int threads) {
  double (*work)() = nullptr;
#if defined(__x86_64__)
  if (isa == "avx512_bf16" && dtype == PRECIS_BFLOAT16) {
    work = peak_avx512_bf16;
  } else if (isa == "avx512_bf16" || isa == "avx512") {
    work = peak_avx512;
  } else if (isa == "avx2") {
    work = peak_avx2;
  }
#endif
  if (work == nullptr) return 0;
  std::vector<double> done(threads);
  const double seconds = measure_threads(threads, 200, [&](int i) { done[i] = work(); });
  return done[0] * threads / seconds;
}

inline precis_tensor tensor(precis_context* context, int32_t dtype, int64_t rows, int64_t columns,
                            Random& random) {
  precis_tensor t = {};
  t.rank = 2;
  t.dtype = dtype;
  t.dims[0] = rows;
  t.dims[1] = columns;
  if (precis_allocate(context, rows * columns * (dtype == PRECIS_BFLOAT16 ? 2 : 4), &t.data) !=
      PRECIS_OK) {
    std::printf("%s\n", precis_last_error(context));
    std::exit(1);
  }
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < columns; c++) {
      store_element(t, r, c, 0.7 * (random.uniform() + random.uniform() + random.uniform() - 1.5));
    }
  }
  return t;
}

inline void release(precis_context* context, const precis_tensor& t) {
  (void)precis_free(context, t.data, rows(t) * columns(t) * (t.dtype == PRECIS_BFLOAT16 ? 2 : 4));
}

inline void check(precis_context* context, precis_status status) {
  if (status == PRECIS_OK) return;
  std::printf("%s\n", precis_last_error(context));
  std::exit(1);
}

inline const char* name(int32_t dtype) { return dtype == PRECIS_BFLOAT16 ? "bf16" : "f32"; }

// Opens the context that a benchmark's first two arguments name, a number of threads and an
// instruction set, and prints it. Ends the program where there is no such context.
inline TestContext open_context(int argc, char** argv, precis_context_info* info) {
  TestContext context(argc > 2 && argv[2][0] != 0 ? argv[2] : nullptr,
                      argc > 1 ? std::atoi(argv[1]) : 0);
  if (context.status() != PRECIS_OK) {
    std::printf("%s\n", context.error().c_str());
    std::exit(1);
  }
  check(context, precis_context_describe(context, info));
  std::printf("%s, %d threads\n", info->isa, info->threads);
  return context;
}

}  // namespace precis

#endif  // PRECIS_BENCH_MACHINE_H_
