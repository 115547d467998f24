// Measures the roofline (Williams et al. 2009) of this machine: the bandwidth of its memory and
// caches, and the rate of its arithmetic. The program shares no code with libprecis, whose kernels
// are held to what it prints.
//
//   roofline THREADS [SECONDS]        SECONDS of each measurement, 0.15 by default
//
// Prints CSV: threads,kind,footprint,rate. The lines for one thread come first, then those for
// THREADS of them, pinned to the first cores that this process may use.
//
//   read      bytes a second; all threads together read an array of footprint bytes
//   update    bytes a second, those read and those written; the same, changed in place
//   float32   operations a second of multiply-add instructions in registers
//   bfloat16  likewise of the dot product of bfloat16; no line where there is no such instruction
//   int8      likewise of the dot product of bytes
//
// Each rate is that of the best round: a slower one measures what else the machine was doing.
// To be compiled for the machine at hand: c++ -std=c++20 -O3 -march=native -pthread.
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#define REGISTER "+v"
#elif defined(__aarch64__)
#include <arm_neon.h>
#define REGISTER "+w"
#else
#define REGISTER "+m"
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

namespace {

using Floats = float __attribute__((vector_size(VECTOR_BYTES)));
using Words = int64_t __attribute__((vector_size(VECTOR_BYTES)));

constexpr int64_t kSmallestFootprint = 256 << 10;
constexpr int64_t kUsualCache = 32 << 20;
// The largest footprint is this many times the last-level cache: little of it is found there.
constexpr int64_t kBeyondCache = 4;
// Independent sums: enough to hide a latency of 4 cycles at 2 instructions a cycle.
constexpr int kChains = 12;
// Short enough for some rounds to be undisturbed, long enough for the clock not to matter.
constexpr int64_t kSteps = 50'000;
constexpr double kShortestRound = 2e-4;
// Caps the rounds at one when a round takes longer than a measurement should.
constexpr int kLeastRounds = 5;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::vector<int> allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int core = 0; core < CPU_SETSIZE; core++) {
      if (CPU_ISSET(core, &set)) cores.push_back(core);
    }
  }
  return cores;
}

// Seconds of the fastest of many rounds, in each of which every thread calls work(thread) once. A
// round lasts from the first thread's start to the last one's end.
template <class Work>
double fastest_round(const std::vector<int>& cores, double duration, const Work& work) {
  const int threads = static_cast<int>(cores.size());
  struct alignas(128) Span {
    double start, end;
  };
  std::vector<Span> spans(threads);
  std::atomic<int64_t> arrived{0};
  std::atomic<bool> stop{false};
  double fastest = 1e9;
  // Every thread waits until all have arrived; the n-th meeting is over at n * threads arrivals.
  const auto meet = [&](int64_t& meetings) {
    arrived++;
    meetings++;
    while (arrived < meetings * threads) std::this_thread::yield();
  };
  const auto run = [&](int thread) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cores[thread], &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    const double begin = now();
    int64_t meetings = 0;
    for (int round = 1;; round++) {
      meet(meetings);
      if (stop) return;
      spans[thread].start = now();
      work(thread);
      spans[thread].end = now();
      meet(meetings);
      if (thread == 0) {
        double first = spans[0].start, last = spans[0].end;
        for (const Span& span : spans) {
          first = std::min(first, span.start);
          last = std::max(last, span.end);
        }
        fastest = std::min(fastest, last - first);
        stop = round >= kLeastRounds && now() - begin > duration;
      }
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; i++) others.emplace_back(run, i);
  std::thread(run, 0).join();
  for (std::thread& other : others) other.join();
  return fastest;
}

void read_all(const Words* from, int64_t n) {
  Words sums[8] = {};
  for (int64_t i = 0; i < n; i += 8) {
    for (int k = 0; k < 8; k++) sums[k] ^= from[i + k];
  }
  for (Words& sum : sums) asm volatile("" : REGISTER(sum));
}

void update_all(Words* values, int64_t n) {
  for (int64_t i = 0; i < n; i++) values[i] = ~values[i];
  asm volatile("" ::: "memory");
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// Bytes a second over an array of footprint bytes, of which each thread has an equal slice.
double bandwidth(const std::vector<int>& cores, double duration, int64_t footprint, bool update) {
  const int64_t threads = static_cast<int64_t>(cores.size());
  const int64_t block = 8 * static_cast<int64_t>(sizeof(Words));
  const int64_t bytes = footprint / threads / block * block;
  std::vector<std::unique_ptr<void, Free>> slices;
  for (int64_t i = 0; i < threads; i++) {
    slices.emplace_back(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096));
    if (!slices.back()) throw std::bad_alloc();
    std::memset(slices.back().get(), 1, bytes);
  }
  const int64_t n = bytes / static_cast<int64_t>(sizeof(Words));
  const auto passes = [&](int64_t count) {
    return fastest_round(cores, duration, [&, count](int thread) {
      Words* slice = static_cast<Words*>(slices[thread].get());
      for (int64_t pass = 0; pass < count; pass++) {
        if (update) {
          update_all(slice, n);
        } else {
          read_all(slice, n);
        }
      }
    });
  };
  const double once = fastest_round(
      cores, 0, [&](int thread) { read_all(static_cast<Words*>(slices[thread].get()), n); });
  const int64_t count = std::max<int64_t>(1, static_cast<int64_t>(kShortestRound / once));
  return static_cast<double>(count * bytes * threads * (update ? 2 : 1)) / passes(count);
}

// Operations a second of step(sum, operand), which does that many of them.
template <class Vector, class Step>
double arithmetic(const std::vector<int>& cores, double duration, int operations, Step step) {
  const double seconds = fastest_round(cores, duration, [&](int) {
    Vector operand = {};
    asm volatile("" : REGISTER(operand));
    Vector sums[kChains] = {};
    for (int64_t i = 0; i < kSteps; i++) {
#pragma GCC unroll 12
      for (int k = 0; k < kChains; k++) {
        sums[k] = step(sums[k], operand);
        // Neither removed nor merged with its neighbours.
        asm volatile("" : REGISTER(sums[k]));
      }
    }
  });
  return static_cast<double>(cores.size()) * kChains * kSteps * operations / seconds;
}

int64_t last_level_cache() {
  int64_t kilobytes = 0;
  if (std::FILE* file = std::fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "r")) {
    if (std::fscanf(file, "%ld", &kilobytes) != 1) kilobytes = 0;
    std::fclose(file);
  }
  return kilobytes > 0 ? kilobytes << 10 : kUsualCache;
}

void print(const std::vector<int>& cores, const char* kind, int64_t footprint, double rate) {
  std::printf("%zu,%s,%ld,%.4g\n", cores.size(), kind, static_cast<long>(footprint), rate);
  std::fflush(stdout);
}

void measure(const std::vector<int>& cores, double duration) {
  int64_t footprint = kSmallestFootprint;
  while (true) {
    print(cores, "read", footprint, bandwidth(cores, duration, footprint, false));
    print(cores, "update", footprint, bandwidth(cores, duration, footprint, true));
    if (footprint >= kBeyondCache * last_level_cache()) break;
    footprint *= 4;
  }
  print(cores, "float32", 0,
        arithmetic<Floats>(cores, duration, 2 * VECTOR_BYTES / 4,
                           [](Floats sum, Floats a) { return a * a + sum; }));
#if defined(__AVX512BF16__)
  print(cores, "bfloat16", 0, arithmetic<__m512>(cores, duration, 64, [](__m512 sum, __m512 a) {
          return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)a);
        }));
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
  print(cores, "bfloat16", 0,
        arithmetic<float32x4_t>(cores, duration, 16, [](float32x4_t sum, float32x4_t a) {
          const bfloat16x8_t pairs = vreinterpretq_bf16_f32(a);
          return vbfdotq_f32(sum, pairs, pairs);
        }));
#endif
#if defined(__AVX512VNNI__)
  print(cores, "int8", 0, arithmetic<__m512i>(cores, duration, 128, [](__m512i sum, __m512i a) {
          return _mm512_dpbusd_epi32(sum, a, a);
        }));
#elif defined(__AVXVNNI__)
  print(cores, "int8", 0, arithmetic<__m256i>(cores, duration, 64, [](__m256i sum, __m256i a) {
          return _mm256_dpbusd_avx_epi32(sum, a, a);
        }));
#elif defined(__ARM_FEATURE_DOTPROD)
  print(cores, "int8", 0,
        arithmetic<int32x4_t>(cores, duration, 32, [](int32x4_t sum, int32x4_t a) {
          const int8x16_t bytes = vreinterpretq_s8_s32(a);
          return vdotq_s32(sum, bytes, bytes);
        }));
#endif
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 0;
  const double duration = argc > 2 ? std::atof(argv[2]) : 0.15;
  if (threads < 1 || duration <= 0 || argc > 3) {
    std::fprintf(stderr, "usage: roofline THREADS [SECONDS]\n");
    return 2;
  }
  const std::vector<int> cores = allowed_cores();
  if (static_cast<size_t>(threads) > cores.size()) {
    std::fprintf(stderr,
                 "roofline: this process may use %zu cores, not %d; ask for fewer threads.\n",
                 cores.size(), threads);
    return 2;
  }
  std::printf("threads,kind,footprint,rate\n");
  measure({cores[0]}, duration);
  if (threads > 1) measure({cores.begin(), cores.begin() + threads}, duration);
  return 0;
}
