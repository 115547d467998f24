// Chooses the loops that the processor can run, and times them on pinned threads.
#include "roofline.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "loops.h"

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace precis_roofline {

#define PRECIS_ROOFLINE_DECLARE(set) \
  namespace set {                    \
  extern const Loops loops;          \
  }
#if defined(__x86_64__)
PRECIS_ROOFLINE_DECLARE(sse2)
PRECIS_ROOFLINE_DECLARE(avx2)
PRECIS_ROOFLINE_DECLARE(avx_vnni)
PRECIS_ROOFLINE_DECLARE(avx512)
PRECIS_ROOFLINE_DECLARE(avx512_vnni)
PRECIS_ROOFLINE_DECLARE(avx512_bf16)
PRECIS_ROOFLINE_DECLARE(amx_bf16)
PRECIS_ROOFLINE_DECLARE(amx_int8)
namespace amx_bf16 {
bool may_use_tiles();
}
#elif defined(__aarch64__)
PRECIS_ROOFLINE_DECLARE(neon)
PRECIS_ROOFLINE_DECLARE(neon_dotprod)
PRECIS_ROOFLINE_DECLARE(neon_bf16)
#else
PRECIS_ROOFLINE_DECLARE(portable)
#endif

namespace {

constexpr int64_t kUsualCache = int64_t{32} << 20;
// Short enough for some rounds to be undisturbed, long enough for the clock not to matter.
constexpr int64_t kSteps = 50'000;
constexpr double kShortestRound = 2e-4;
// Caps the rounds at this many where a round takes longer than a measurement should.
constexpr int kLeastRounds = 5;
constexpr int64_t kMostSteps = 1000;

#if defined(__x86_64__)
bool cpuid_bit(unsigned leaf, unsigned subleaf, int reg, int bit) {
  unsigned r[4];
  if (!__get_cpuid_count(leaf, subleaf, &r[0], &r[1], &r[2], &r[3])) return false;
  return (r[reg] >> bit) & 1;
}
#elif defined(__APPLE__)
bool has(const char* name) {
  int value = 0;
  size_t bytes = sizeof value;
  return sysctlbyname(name, &value, &bytes, nullptr, 0) == 0 && value != 0;
}
#endif

// The loops of all sets that the processor and the system offer, the widest last.
std::vector<Loop> supported() {
  std::vector<Loop> all;
  const auto add = [&all](const Loops& loops, bool offered) {
    if (offered) all.insert(all.end(), loops.first, loops.first + loops.count);
  };
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 =
      avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
  add(sse2::loops, true);
  add(avx2::loops, avx2);
  add(avx_vnni::loops, avx2 && cpuid_bit(7, 1, 0, 4));
  add(avx512::loops, avx512);
  add(avx512_vnni::loops, avx512 && __builtin_cpu_supports("avx512vnni"));
  add(avx512_bf16::loops, avx512 && __builtin_cpu_supports("avx512bf16"));
  // CPUID.7.0:EDX 22 is AMX-BF16, 24 AMX-TILE, 25 AMX-INT8.
  const bool tiles = cpuid_bit(7, 0, 3, 24) && amx_bf16::may_use_tiles();
  add(amx_bf16::loops, tiles && cpuid_bit(7, 0, 3, 22));
  add(amx_int8::loops, tiles && cpuid_bit(7, 0, 3, 25));
#elif defined(__aarch64__)
#if defined(__linux__)
  // The bits of the kernel's interface: ASIMDDP of AT_HWCAP, I8MM and BF16 of AT_HWCAP2.
  const bool dotprod = getauxval(AT_HWCAP) >> 20 & 1;
  const unsigned long caps2 = getauxval(AT_HWCAP2);
  const bool tiles = (caps2 >> 13 & 1) != 0 && (caps2 >> 14 & 1) != 0;
#elif defined(__APPLE__)
  const bool dotprod = has("hw.optional.arm.FEAT_DotProd");
  const bool tiles = has("hw.optional.arm.FEAT_BF16") && has("hw.optional.arm.FEAT_I8MM");
#else
  const bool dotprod = false, tiles = false;
#endif
  add(neon::loops, true);
  add(neon_dotprod::loops, dotprod);
  add(neon_bf16::loops, dotprod && tiles);
#else
  add(portable::loops, true);
#endif
  return all;
}

const std::vector<Loop>& loops() {
  static const std::vector<Loop> all = supported();
  return all;
}

const Loop* loop_at(int32_t index) {
  return index >= 0 && static_cast<size_t>(index) < loops().size() ? &loops()[index] : nullptr;
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void pin_this_thread(int core) {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
#else
  (void)core;  // macOS has no such call
#endif
}

// Seconds of the fastest of many rounds, in each of which every thread calls work(thread) once. A
// round lasts from the first thread's start to the last one's end.
template <class Work>
double fastest_round(const int32_t* cores, int threads, double duration, const Work& work) {
  struct alignas(128) Span {
    double start, end;
  };
  std::vector<Span> spans(threads);
  std::atomic<int64_t> arrived{0};
  // -1: not all threads have been started; 1: the rounds are over.
  std::atomic<int> state{-1};
  double fastest = 1e9;
  // Every thread waits until all have arrived; the n-th meeting is over at n * threads arrivals.
  const auto meet = [&](int64_t& meetings) {
    arrived++;
    meetings++;
    while (arrived < meetings * threads) std::this_thread::yield();
  };
  const auto run = [&](int thread) {
    if (cores != nullptr) pin_this_thread(cores[thread]);
    while (state < 0) std::this_thread::yield();
    const double begin = now();
    int64_t meetings = 0;
    for (int round = 1; state == 0; round++) {
      meet(meetings);
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
        if (round >= kLeastRounds && now() - begin > duration) state = 1;
      }
      meet(meetings);
    }
  };
  std::vector<std::thread> workers;
  try {
    workers.reserve(threads);
    for (int i = 0; i < threads; i++) workers.emplace_back(run, i);
    state = 0;
  } catch (...) {
    state = 1;
    for (std::thread& worker : workers) worker.join();
    throw;
  }
  for (std::thread& worker : workers) worker.join();
  return fastest;
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// Bytes a second over an array of footprint bytes, of which each thread has an equal slice.
double bandwidth(const Loop& loop, const int32_t* cores, int threads, int64_t footprint,
                 double duration) {
  const int64_t bytes = std::max<int64_t>(footprint / threads / kBlock, 1) * kBlock;
  std::vector<std::unique_ptr<void, Free>> slices;
  for (int i = 0; i < threads; i++) {
    slices.emplace_back(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096));
    if (!slices.back()) throw std::bad_alloc();
    std::memset(slices.back().get(), 1, bytes);
  }
  const auto pass = [&](int thread) { loop.memory(slices[thread].get(), bytes); };
  const double once = fastest_round(cores, threads, 0, pass);
  const int64_t count = std::max<int64_t>(1, static_cast<int64_t>(kShortestRound / once));
  const double seconds = fastest_round(cores, threads, duration, [&](int thread) {
    for (int64_t i = 0; i < count; i++) pass(thread);
  });
  return static_cast<double>(count * bytes * threads * (loop.updates ? 2 : 1)) / seconds;
}

double arithmetic(const Loop& loop, const int32_t* cores, int threads, double duration) {
  // A sum that nobody reads would be removed.
  std::vector<double> sums(threads);
  const double seconds =
      fastest_round(cores, threads, duration, [&](int i) { sums[i] = loop.arithmetic(kSteps); });
  return static_cast<double>(threads) * static_cast<double>(kSteps * loop.operations) / seconds;
}

}  // namespace
}  // namespace precis_roofline

using namespace precis_roofline;

extern "C" {

int32_t precis_roofline_count(void) { return static_cast<int32_t>(loops().size()); }

const char* precis_roofline_describe(int32_t loop) {
  const Loop* found = loop_at(loop);
  return found == nullptr ? nullptr : found->description;
}

double precis_roofline_measure(int32_t loop, const int32_t* cores, int32_t threads,
                               int64_t footprint, double seconds) {
  const Loop* found = loop_at(loop);
  if (found == nullptr || threads < 1 || threads > 4096 || !(seconds >= 0 && seconds <= 3600)) {
    return 0;
  }
  if (found->memory != nullptr && (footprint < 1 || footprint > int64_t{1} << 40)) return 0;
  try {
    return found->memory != nullptr ? bandwidth(*found, cores, threads, footprint, seconds)
                                    : arithmetic(*found, cores, threads, seconds);
  } catch (const std::exception&) {
    return -1;
  }
}

double precis_roofline_check(int32_t loop, int64_t steps, double* counted) {
  const Loop* found = loop_at(loop);
  if (found == nullptr || found->arithmetic == nullptr || counted == nullptr || steps < 1 ||
      steps > kMostSteps) {
    return -1;
  }
  *counted = static_cast<double>(steps * found->operations);
  return found->arithmetic(steps);
}

int64_t precis_roofline_cache(void) {
  long long kilobytes = 0;
#if defined(__linux__)
  if (std::FILE* file = std::fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "r")) {
    if (std::fscanf(file, "%lld", &kilobytes) != 1) kilobytes = 0;
    std::fclose(file);
  }
#endif
  return kilobytes > 0 ? static_cast<int64_t>(kilobytes) << 10 : kUsualCache;
}

}  // extern "C"
