#include "cpu/thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <set>
#include <thread>

#include "error.h"

namespace precis {

namespace {

// The time that a waiting thread spins before it sleeps: longer than the gaps inside a decoding
// step, too short to be noticed as load.
constexpr std::chrono::microseconds kSpin{200};

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Waits until done() holds: spins first, then sleep() waits for a change of what done() reads.
template <typename Done, typename Sleep>
inline void spin_then_sleep(Done done, Sleep sleep) {
  auto deadline = std::chrono::steady_clock::time_point::max();
  for (uint32_t spins = 0; !done(); spins++) {
    pause();
    if ((spins & 255) != 255) continue;
    const auto now = std::chrono::steady_clock::now();
    if (deadline == std::chrono::steady_clock::time_point::max()) {
      deadline = now + kSpin;
    } else if (now > deadline) {
      sleep();
    }
  }
}

int current_thread_id() {
  static thread_local const int id = static_cast<int>(syscall(SYS_gettid));
  return id;
}

// The affinity that the process started with: a caller may itself be pinned by another pool.
const cpu_set_t& process_affinity() {
  static const cpu_set_t set = [] {
    cpu_set_t s;
    CPU_ZERO(&s);
    if (sched_getaffinity(getpid(), sizeof s, &s) != 0 || CPU_COUNT(&s) == 0) CPU_SET(0, &s);
    return s;
  }();
  return set;
}

// Returns the first hardware thread of each physical core that the process may use.
std::vector<int> physical_cores() {
  std::vector<int> cores;
  std::set<std::string> seen;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &process_affinity())) continue;
    char path[96], siblings[128] = "";
    std::snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
                  cpu);
    if (FILE* file = std::fopen(path, "r")) {
      if (std::fgets(siblings, sizeof siblings, file) == nullptr) siblings[0] = 0;
      std::fclose(file);
    }
    if (siblings[0] == 0 || seen.insert(siblings).second) cores.push_back(cpu);
  }
  return cores;
}

// Returns the number of CPUs that the control group grants, or a large number.
int quota() {
  long long limit = -1, period = 100000;
  if (FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    if (std::fscanf(file, "%lld %lld", &limit, &period) != 2) limit = -1;
    std::fclose(file);
  }
  if (limit <= 0 || period <= 0) return 1 << 20;
  const long long cpus = (limit + period - 1) / period;
  return cpus < 1 ? 1 : static_cast<int>(cpus);
}

void pin(int thread_id, int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  // Where a sandbox forbids pinning, the threads still work, but slower.
  (void)sched_setaffinity(thread_id, sizeof set, &set);
}

}  // namespace

struct ThreadPool::Shared {
  int threads = 1;
  Task task = nullptr;
  const void* argument = nullptr;
  alignas(64) std::atomic<uint32_t> generation{0};
  alignas(64) std::atomic<uint32_t> running{0};
  alignas(64) std::atomic<bool> stop{false};
  std::vector<std::thread> workers;
};

ThreadPool::ThreadPool(int threads) : shared_(new Shared) {
  if (threads < 0 || threads > CPU_SETSIZE) {
    fail(PRECIS_INVALID_ARGUMENT, "threads: %d is not between 0 and %d", threads, CPU_SETSIZE);
  }
  cores_ = physical_cores();
  if (threads == 0) {
    threads = static_cast<int>(cores_.size());
    if (quota() < threads) threads = quota();
  }
  threads_ = shared_->threads = threads;
  if (threads == 1) return;
  // More threads than physical cores take the remaining allowed CPUs, then start again.
  for (int cpu = 0; cpu < CPU_SETSIZE && static_cast<int>(cores_.size()) < threads; cpu++) {
    bool used = false;
    for (int core : cores_) used |= core == cpu;
    if (!used && CPU_ISSET(cpu, &process_affinity())) cores_.push_back(cpu);
  }
  for (int i = 0; static_cast<int>(cores_.size()) < threads; i++) cores_.push_back(cores_[i]);
  cores_.resize(threads);
  for (int core : cores_) cores_text_ += (cores_text_.empty() ? "" : ",") + std::to_string(core);
  try {
    for (int i = 1; i < threads; i++) {
      shared_->workers.emplace_back(work, shared_.get(), i, cores_[i]);
    }
  } catch (const std::exception&) {
    shared_->stop = true;
    shared_->generation.fetch_add(1);
    shared_->generation.notify_all();
    for (std::thread& worker : shared_->workers) worker.join();
    fail(PRECIS_OUT_OF_MEMORY, "threads: the system gives no more than %zu",
         shared_->workers.size() + 1);
  }
}

ThreadPool::~ThreadPool() {
  if (threads_ == 1) return;
  release_caller();
  shared_->stop = true;
  shared_->generation.fetch_add(1, std::memory_order_release);
  shared_->generation.notify_all();
  for (std::thread& worker : shared_->workers) worker.join();
}

void ThreadPool::release_caller() {
  if (caller_ == 0) return;
  (void)sched_setaffinity(caller_, caller_affinity_.size(),
                          reinterpret_cast<const cpu_set_t*>(caller_affinity_.data()));
  caller_ = 0;
}

void ThreadPool::adopt_caller() {
  const int id = current_thread_id();
  if (id == caller_) return;
  release_caller();
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(id, sizeof set, &set) != 0) set = process_affinity();
  const auto* bytes = reinterpret_cast<const uint8_t*>(&set);
  caller_affinity_.assign(bytes, bytes + sizeof set);
  pin(id, cores_[0]);
  caller_ = id;
}

void ThreadPool::run(Task task, const void* argument) {
  if (threads_ == 1) {
    task(argument, 0, 1);
    return;
  }
  adopt_caller();
  Shared& s = *shared_;
  s.task = task;
  s.argument = argument;
  s.running.store(static_cast<uint32_t>(threads_ - 1), std::memory_order_relaxed);
  s.generation.fetch_add(1, std::memory_order_release);
  s.generation.notify_all();
  task(argument, 0, threads_);
  spin_then_sleep([&] { return s.running.load(std::memory_order_acquire) == 0; },
                  [&] {
                    const uint32_t left = s.running.load(std::memory_order_acquire);
                    if (left != 0) s.running.wait(left, std::memory_order_acquire);
                  });
}

void ThreadPool::work(Shared* shared, int thread, int core) {
  pin(current_thread_id(), core);
  pthread_setname_np(pthread_self(), "precis-worker");
  Shared& s = *shared;
  uint32_t seen = 0;
  for (;;) {
    spin_then_sleep([&] { return s.generation.load(std::memory_order_acquire) != seen; },
                    [&] { s.generation.wait(seen, std::memory_order_acquire); });
    seen = s.generation.load(std::memory_order_acquire);
    if (s.stop.load(std::memory_order_acquire)) return;
    s.task(s.argument, thread, s.threads);
    if (s.running.fetch_sub(1, std::memory_order_acq_rel) == 1) s.running.notify_one();
  }
}

}  // namespace precis
