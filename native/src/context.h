// What an opaque precis_context holds.
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

// Memory that an operation needs while it runs. Grows to the largest request and stays.
class Scratch {
 public:
  Scratch() = default;
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // At least bytes, aligned to 64; what earlier calls returned is lost. Throws Error.
  void* reserve(size_t bytes);

  int64_t bytes() const { return static_cast<int64_t>(bytes_); }
  int64_t allocations() const { return allocations_; }

 private:
  void* memory_ = nullptr;
  size_t bytes_ = 0;
  int64_t allocations_ = 0;
};

// Anonymous, zero-filled pages, huge ones where the system gives them; nullptr when there are none.
void* map_pages(size_t bytes);
void unmap_pages(void* memory, size_t bytes);

// What a CPU kernel gets.
struct CpuContext {
  explicit CpuContext(int threads) : pool(threads) {}

  ThreadPool pool;
  Scratch scratch;
  // What an operation that is made of others holds while those use scratch.
  Scratch outer;
  // Where the rule never applies, NULL.
  OneDnn* onednn = nullptr;
  OneDnnRule onednn_rule;
};

}  // namespace precis

struct precis_context {
  std::unique_ptr<precis::Backend> backend;
  int64_t allocations = 0;
  // Set while a thread is inside: a second one is refused instead of corrupting the first.
  std::atomic<bool> busy{false};
  std::string error;
  // Why what is recorded now is good for nothing; empty: it is.
  std::string spoilt;
  int64_t replays = 0;
};

// What an opaque precis_recording holds.
struct precis_recording {
  std::unique_ptr<precis::Backend::Recording> operations;
};

#endif  // PRECIS_CONTEXT_H_
