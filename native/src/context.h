// The contents of the opaque precis_context.
#ifndef PRECIS_CONTEXT_H_
#define PRECIS_CONTEXT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "backend.h"
#include "cpu/isa.h"
#include "cpu/thread_pool.h"
#include "onednn/onednn.h"
#include "precis.h"

namespace precis {

// Scratch (workspace) memory of operations. It grows to the largest request and is kept.
class Scratch {
 public:
  Scratch() = default;
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // Returns at least bytes, aligned to 64, and invalidates what earlier calls returned. Throws
  // Error.
  void* reserve(size_t bytes);

  int64_t bytes() const { return static_cast<int64_t>(bytes_); }
  int64_t allocations() const { return allocations_; }

 private:
  void* memory_ = nullptr;
  size_t bytes_ = 0;
  int64_t allocations_ = 0;
};

// Maps anonymous, zero-filled pages, huge ones where the system gives them. Returns nullptr when
// the system has none.
void* map_pages(size_t bytes);
void unmap_pages(void* memory, size_t bytes);

// The state that every CPU kernel is given.
struct CpuContext {
  explicit CpuContext(int threads) : pool(threads) {}

  ThreadPool pool;
  Scratch scratch;
  // Held by an operation that calls others, which use scratch.
  Scratch outer;
  // NULL where the rule never applies.
  OneDnn* onednn = nullptr;
  OneDnnRule onednn_rule;
  // Set by another thread to end the operation that is running; NULL where nobody does.
  const std::atomic<bool>* cancelled = nullptr;

  bool is_cancelled() const {
    return cancelled != nullptr && cancelled->load(std::memory_order_relaxed);
  }
};

}  // namespace precis

struct precis_context {
  std::unique_ptr<precis::Backend> backend;
  int64_t allocations = 0;
  // Set while a thread is inside: a second thread is refused instead of corrupting the first.
  std::atomic<bool> busy{false};
  std::string error;
  // The reason why the current capture is invalid; empty if it is valid.
  std::string capture_error;
  int64_t replays = 0;
};

// The contents of the opaque precis_recording.
struct precis_recording {
  std::unique_ptr<precis::Backend::Recording> operations;
};

#endif  // PRECIS_CONTEXT_H_
