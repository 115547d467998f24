#include "cpu/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "cpu/affinity.h"
#include "error.h"

namespace precis {

namespace {

// The time that a waiting thread spins before it sleeps: longer than the gaps inside a decoding
// step, too short to be noticed as load.
constexpr std::chrono::microseconds kSpin{200};

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");  // YIELD is a no-op on most processors
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
  if (threads < 0 || threads > most_threads()) {
    fail(PRECIS_INVALID_ARGUMENT, "threads: %d is not between 0 and %d", threads, most_threads());
  }
  cores_ = physical_cores();
  if (threads == 0) {
    threads = static_cast<int>(cores_.size());
    threads = std::min(threads, cpu_quota());
  }
  threads_ = shared_->threads = threads;
  if (threads == 1) return;
  // More threads than physical cores take the remaining allowed CPUs, then start again.
  for (int cpu : hardware_threads()) {
    if (static_cast<int>(cores_.size()) >= threads) break;
    if (std::find(cores_.begin(), cores_.end(), cpu) == cores_.end()) cores_.push_back(cpu);
  }
  for (int i = 0; static_cast<int>(cores_.size()) < threads; i++) cores_.push_back(cores_[i]);
  cores_.resize(threads);
  for (int core : cores_) {
    if (!can_pin()) break;
    cores_text_ += (cores_text_.empty() ? "" : ",") + std::to_string(core);
  }
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
  set_affinity(caller_, caller_affinity_);
  caller_ = 0;
}

void ThreadPool::adopt_caller() {
  const int id = current_thread_id();
  if (id == caller_) return;
  release_caller();
  get_affinity(id, &caller_affinity_);
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
  name_this_thread("precis-worker");
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
