// The thread pool of the CPU kernels. The caller is thread 0, the others are workers. Each is
// pinned to a core of its own, because two threads on one core run 3 to 50 times slower. Between
// two calls the workers spin briefly, so that a decoding step of 150 small operations does not wait
// for the scheduler, and then sleep.
#ifndef PRECIS_CPU_THREAD_POOL_H_
#define PRECIS_CPU_THREAD_POOL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cpu/ranges.h"

namespace precis {

class ThreadPool {
 public:
  using Task = void (*)(const void* argument, int thread, int threads);

  // threads 0: one for each physical core that the process may use. Throws Error.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }
  // As "0,1"; empty with one thread, which is not pinned, and where threads cannot be pinned.
  const std::string& cores() const { return cores_text_; }

  // Runs task(argument, i, threads) for every i < threads and returns when all are done.
  void run(Task task, const void* argument);
  // Restores the affinity of the thread that run() pinned last.
  void release_caller();

 private:
  struct Shared;

  void adopt_caller();
  static void work(Shared* shared, int thread, int core);

  int threads_;
  std::vector<int> cores_;
  std::string cores_text_;
  std::unique_ptr<Shared> shared_;
  // The thread that is pinned to cores_[0] now, and the affinity it had before.
  int caller_ = 0;
  std::vector<uint8_t> caller_affinity_;
};

// Calls f(thread, threads) on every thread of the pool.
template <class F>
static inline void parallel(ThreadPool& pool, const F& f) {
  if (pool.threads() == 1) {
    f(0, 1);
    return;
  }
  pool.run(
      [](const void* g, int thread, int threads) { (*static_cast<const F*>(g))(thread, threads); },
      &f);
}

// Partitions [0, n) evenly, in multiples of grain, and calls f(begin, end) on each thread that gets
// a slice. The slices depend on n, grain and the number of threads alone, so they are reproducible.
template <class F>
static inline void parallel_ranges(ThreadPool& pool, int64_t n, int64_t grain, const F& f) {
  const int64_t blocks = ceil_div(n, grain);
  if (pool.threads() == 1 || blocks <= 1) {
    if (n > 0) f(int64_t{0}, n);
    return;
  }
  auto part = [&](int thread, int threads) {
    const int64_t begin = slice_begin(blocks, threads, thread) * grain;
    int64_t end = slice_begin(blocks, threads, thread + 1) * grain;
    if (end > n) end = n;
    if (begin < end) f(begin, end);
  };
  parallel(pool, part);
}

}  // namespace precis

#endif  // PRECIS_CPU_THREAD_POOL_H_
