#include "emulation.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "device.h"

#if !defined(__x86_64__) && !defined(PRECIS_EMULATION_UCONTEXT)
#define PRECIS_EMULATION_UCONTEXT
#endif
#if defined(PRECIS_EMULATION_UCONTEXT)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace precis {
namespace emulation {
namespace {

// ------------------------------------------------------------------ fibers

constexpr size_t kStackBytes = size_t{256} << 10;
constexpr size_t kPage = 4096;

#if defined(PRECIS_EMULATION_UCONTEXT)

struct Context {
  ucontext_t state;
};
void prepare(Context* c, char* stack, size_t bytes, void (*entry)()) {
  getcontext(&c->state);
  c->state.uc_stack.ss_sp = stack;
  c->state.uc_stack.ss_size = bytes;
  c->state.uc_link = nullptr;
  makecontext(&c->state, entry, 0);
}
void switch_context(Context* from, Context* to) { swapcontext(&from->state, &to->state); }

#else

// swapcontext makes a system call for the signal mask each time. This saves only what the System V ABI
// requires a call to preserve, and is about thirty times as fast.
struct Context {
  void* stack_pointer;
};
extern "C" void precis_emulation_switch(void** from, void* to);
asm(R"(
.text
.p2align 4
.globl precis_emulation_switch
.hidden precis_emulation_switch
.type precis_emulation_switch, @function
precis_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size precis_emulation_switch, . - precis_emulation_switch
)");
void prepare(Context* c, char* stack, size_t bytes, void (*entry)()) {
  // The switch pops six registers and the return address. When a function starts, the stack pointer is
  // 8 below a multiple of 16.
  void** top = reinterpret_cast<void**>(stack + bytes);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; i++) *--top = nullptr;
  c->stack_pointer = top;
}
void switch_context(Context* from, Context* to) {
  precis_emulation_switch(&from->stack_pointer, to->stack_pointer);
}

#endif

enum class State { kReady, kBlockBarrier, kWarp, kEvent, kDone };

struct AsyncCopy {
  void* to;
  const void* from;  // nullptr: zeros
  size_t bytes;
  int group;
};

struct Thread {
  Context context;
  char* stack = nullptr;
  uint3 index;
  State state;
  Where where;
  const char* operation;
  uint32_t mask;
  const void* event;
  Exchange exchange;
  std::vector<AsyncCopy> copies;
  int groups;
};

// The memory of one shared variable, between two guard bands of a known pattern.
struct SharedMemory {
  std::unique_ptr<unsigned char[]> memory;
  unsigned char* data;
  size_t bytes;
};
constexpr size_t kBand = 256;
// All bits set is NaN in float32 and bfloat16, and -1 as an integer.
constexpr unsigned char kPoison = 0xff, kPattern = 0xa5;

struct Launch {
  const std::function<void()>* entry = nullptr;
  std::vector<std::unique_ptr<Thread>> threads;
  std::vector<int> ready;
  int count = 0;  // threads of a block
  int done = 0;
  int at_barrier = 0;
  int first_at_barrier = 0;
  int current = -1;
  uint64_t blocks = 0;  // started so far, in all launches
  Context scheduler;
  std::map<const void*, SharedMemory> variables;
  SharedMemory dynamic;
  uint64_t random = 0;
  bool failed = false;
};
Launch launch_state;
uint64_t seed_of_order = 2;
std::string error_text;
std::string kernel_name;
uint64_t launched = 0;

Thread& self() { return *launch_state.threads[static_cast<size_t>(launch_state.current)]; }

uint64_t next_random() {
  uint64_t z = (launch_state.random += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

#if defined(__SANITIZE_ADDRESS__)
const void* scheduler_stack = nullptr;
size_t scheduler_stack_bytes = 0;
#endif

void to_scheduler() {
  Thread& me = self();
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, scheduler_stack, scheduler_stack_bytes);
#endif
  switch_context(&me.context, &launch_state.scheduler);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, &scheduler_stack, &scheduler_stack_bytes);
#endif
}

void resume(int t) {
  Launch& l = launch_state;
  l.current = t;
  threadIdx = self().index;
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, self().stack + kPage, kStackBytes);
#endif
  switch_context(&l.scheduler, &self().context);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
  l.current = -1;
}

void fiber_main() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
#endif
  (*launch_state.entry)();
  Thread& me = self();
  if (!me.copies.empty()) fail("a thread exits with pending asynchronous copies");
  me.state = State::kDone;
  launch_state.done++;
  to_scheduler();
  std::abort();  // a finished fiber is not resumed
}

char* new_stack() {
  const size_t bytes = kStackBytes + kPage;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  mprotect(memory, kPage, PROT_NONE);  // a guard page against stack overflow
  return static_cast<char*>(memory);
}

// The order for std::push_heap, which puts the greatest first.
bool runs_later(int a, int b) { return seed_of_order == 0 ? a > b : a < b; }

void wake(Thread& t, int number) {
  std::vector<int>& ready = launch_state.ready;
  t.state = State::kReady;
  ready.push_back(number);
  if (seed_of_order < 2) std::push_heap(ready.begin(), ready.end(), runs_later);
}

int take_ready() {
  std::vector<int>& ready = launch_state.ready;
  if (seed_of_order < 2) {
    std::pop_heap(ready.begin(), ready.end(), runs_later);
  } else {
    std::swap(ready[next_random() % ready.size()], ready.back());
  }
  const int t = ready.back();
  ready.pop_back();
  return t;
}

// ------------------------------------------------------------------ shared memory

void unpoison(const SharedMemory& s) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(s.memory.get(), s.bytes + 2 * kBand + 128);
#else
  (void)s;
#endif
}

void fill(SharedMemory* s, size_t bytes) {
  const size_t room = bytes + 2 * kBand + 128;
  if (s->memory == nullptr || s->bytes != bytes) {
    if (s->memory != nullptr) unpoison(*s);
    s->memory.reset(new unsigned char[room]);
    s->bytes = bytes;
  }
  unpoison(*s);
  std::memset(s->memory.get(), kPattern, room);
  const auto start = reinterpret_cast<uintptr_t>(s->memory.get()) + kBand;
  s->data = s->memory.get() + kBand + (128 - start % 128) % 128;
  std::memset(s->data, kPoison, bytes);
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(s->memory.get(), static_cast<size_t>(s->data - s->memory.get()));
  __asan_poison_memory_region(s->data + bytes,
                              static_cast<size_t>(s->memory.get() + room - s->data) - bytes);
#endif
}

bool intact(const SharedMemory& s) {
  unpoison(s);
  const unsigned char* end = s.memory.get() + s.bytes + 2 * kBand + 128;
  for (const unsigned char* p = s.memory.get(); p < s.data; p++) {
    if (*p != kPattern) return false;
  }
  for (const unsigned char* p = s.data + s.bytes; p < end; p++) {
    if (*p != kPattern) return false;
  }
  return true;
}

void set_error(const char* format, va_list arguments) {
  char text[512];
  std::vsnprintf(text, sizeof text, format, arguments);
  char place[160];
  const uint3 b = blockIdx, t = threadIdx;
  std::snprintf(place, sizeof place,
                "%s, block (%u, %u, %u), thread (%u, %u, %u): ", kernel_name.c_str(), b.x, b.y, b.z,
                t.x, t.y, t.z);
  error_text = std::string(place) + text;
  launch_state.failed = true;
}

void note_error(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  set_error(format, arguments);
  va_end(arguments);
}

// No thread can continue: reports which thread waits for what.
void explain_deadlock() {
  const Launch& l = launch_state;
  int waiting = -1, exited = -1, other = -1;
  for (int t = 0; t < l.count; t++) {
    const Thread& thread = *l.threads[static_cast<size_t>(t)];
    if (thread.state == State::kDone) {
      exited = exited < 0 ? t : exited;
    } else if (waiting < 0) {
      waiting = t;
    } else if (thread.where.line() != l.threads[static_cast<size_t>(waiting)]->where.line()) {
      other = other < 0 ? t : other;
    }
  }
  const Thread& thread = *l.threads[static_cast<size_t>(waiting)];
  threadIdx = thread.index;
  if (other >= 0) {
    const Thread& o = *l.threads[static_cast<size_t>(other)];
    note_error("deadlock: waits in %s at line %u, thread %d in %s at line %u", thread.operation,
               thread.where.line(), other, o.operation, o.where.line());
  } else if (exited >= 0) {
    note_error("deadlock: waits in %s at line %u, and thread %d has exited", thread.operation,
               thread.where.line(), exited);
  } else {
    note_error("deadlock: waits in %s at line %u", thread.operation, thread.where.line());
  }
}

void run_block(dim3 block, size_t shared_bytes) {
  Launch& l = launch_state;
  l.blocks++;
  l.ready.clear();
  l.variables.clear();
  l.done = l.at_barrier = 0;
  l.count = static_cast<int>(block.x * block.y * block.z);
  fill(&l.dynamic, shared_bytes);
  while (l.threads.size() < static_cast<size_t>(l.count)) {
    l.threads.push_back(std::make_unique<Thread>());
    l.threads.back()->stack = new_stack();
  }
  for (int t = 0; t < l.count; t++) {
    Thread& thread = *l.threads[static_cast<size_t>(t)];
    const auto n = static_cast<uint32_t>(t);
    thread.index = {n % block.x, n / block.x % block.y, n / block.x / block.y};
    thread.copies.clear();
    thread.groups = 0;
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(thread.stack + kPage, kStackBytes);
#endif
    prepare(&thread.context, thread.stack + kPage, kStackBytes, fiber_main);
    wake(thread, t);
  }
  while (l.done < l.count && !l.failed) {
    if (l.ready.empty()) return explain_deadlock();
    resume(take_ready());
  }
  bool whole = intact(l.dynamic);
  for (auto& [key, memory] : l.variables) whole &= intact(memory);
  if (!whole && !l.failed) note_error("wrote outside the shared memory of the block");
}

}  // namespace

void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  set_error(format, arguments);
  va_end(arguments);
  to_scheduler();
  std::abort();  // the block is abandoned
}

int lane() { return launch_state.current % 32; }

void block_barrier(const Where& where) {
  Launch& l = launch_state;
  Thread& me = self();
  me.where = where;
  me.operation = "__syncthreads";
  if (l.done > 0) fail("__syncthreads at line %u: a thread has exited", where.line());
  if (l.at_barrier == 0) {
    l.first_at_barrier = l.current;
  } else {
    const Where& other = l.threads[static_cast<size_t>(l.first_at_barrier)]->where;
    if (other.line() != where.line()) {
      fail("is in __syncthreads at line %u, thread %d at line %u", where.line(), l.first_at_barrier,
           other.line());
    }
  }
  me.state = State::kBlockBarrier;
  if (++l.at_barrier == l.count) {
    l.at_barrier = 0;
    for (int t = 0; t < l.count; t++) wake(*l.threads[static_cast<size_t>(t)], t);
  }
  to_scheduler();
}

Exchange& warp_operation(const char* name, uint32_t mask, const void* bytes, size_t count,
                         Resolve resolve, const Where& where) {
  Launch& l = launch_state;
  Thread& me = self();
  const int first = l.current / 32 * 32;
  if ((mask >> lane() & 1) == 0) {
    fail("%s at line %u: the mask %08x does not include the lane itself, %d", name, where.line(),
         mask, lane());
  }
  me.state = State::kWarp;
  me.where = where;
  me.operation = name;
  me.mask = mask;
  if (count > 0) std::memcpy(me.exchange.in, bytes, count);
  if (first + 32 > l.count && (mask >> (l.count - first)) != 0) {
    fail("%s at line %u: the mask %08x includes lanes that do not exist", name, where.line(), mask);
  }
  Exchange* lanes[32] = {};
  bool complete = true;
  for (int i = 0; i < 32 && complete; i++) {
    if ((mask >> i & 1) == 0) continue;
    Thread& t = *l.threads[static_cast<size_t>(first + i)];
    complete = t.state == State::kWarp && t.mask == mask && t.operation == name &&
               t.where.line() == where.line();
    lanes[i] = &t.exchange;
  }
  if (complete) {
    resolve(lanes, mask);
    for (int i = 0; i < 32; i++) {
      if (lanes[i] != nullptr) wake(*l.threads[static_cast<size_t>(first + i)], first + i);
    }
  }
  to_scheduler();
  return me.exchange;
}

void wait_for(const void* event, const char* name, const Where& where) {
  Thread& me = self();
  me.state = State::kEvent;
  me.where = where;
  me.operation = name;
  me.event = event;
  to_scheduler();
}

void notify(const void* event) {
  Launch& l = launch_state;
  for (int t = 0; t < l.count; t++) {
    Thread& thread = *l.threads[static_cast<size_t>(t)];
    if (thread.state == State::kEvent && thread.event == event) wake(thread, t);
  }
}

uint64_t blocks_begun() { return launch_state.blocks; }

void* shared_variable(const void* key, size_t bytes) {
  auto [it, added] = launch_state.variables.try_emplace(key);
  if (added) fill(&it->second, bytes);
  return it->second.data;
}

void* dynamic_shared(size_t* bytes) {
  *bytes = launch_state.dynamic.bytes;
  return launch_state.dynamic.data;
}

namespace {

void check_aligned(const void* p) {
  if (reinterpret_cast<uintptr_t>(p) % 16 != 0) fail("the address %p is not aligned to 16", p);
}

}  // namespace

uint4 load16(const void* p) {
  check_aligned(p);
  uint4 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

void store16(void* p, uint4 v) {
  check_aligned(p);
  std::memcpy(p, &v, sizeof v);
}

void copy_async(void* to, const void* from, size_t bytes) {
  check_aligned(to);
  if (from != nullptr) check_aligned(from);
  std::memset(to, kPoison, bytes);
  self().copies.push_back({to, from, bytes, self().groups});
}

void copy_async_commit() { self().groups++; }

void copy_async_wait(int groups_left) {
  std::vector<AsyncCopy>& copies = self().copies;
  std::vector<AsyncCopy> later;
  for (const AsyncCopy& c : copies) {
    if (c.group + groups_left >= self().groups) {
      later.push_back(c);
    } else if (c.from == nullptr) {
      std::memset(c.to, 0, c.bytes);
    } else {
      std::memcpy(c.to, c.from, c.bytes);
    }
  }
  copies.swap(later);
}

namespace {

float bf16_half(uint32_t word, int high) {
  return __uint_as_float(high != 0 ? word & 0xffff0000u : word << 16);
}

struct Mma {
  float c[4];
  uint32_t a[4], b[2];
};

}  // namespace

void mma_bf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, const Where& where) {
  Mma in = {{c[0], c[1], c[2], c[3]}, {a[0], a[1], a[2], a[3]}, {b0, b1}};
  Exchange& e = warp_operation(
      "mma", 0xffffffffu, &in, sizeof in,
      [](Exchange* lanes[32], uint32_t) {
        float a[16][16], b[16][8];
        Mma m[32];
        for (int l = 0; l < 32; l++) {
          std::memcpy(&m[l], lanes[l]->in, sizeof m[l]);
          const int g = l / 4, t = l % 4;
          for (int half = 0; half < 2; half++) {
            for (int i = 0; i < 4; i++) {
              a[g + 8 * (i % 2)][2 * t + 8 * (i / 2) + half] = bf16_half(m[l].a[i], half);
            }
            for (int i = 0; i < 2; i++) b[2 * t + 8 * i + half][g] = bf16_half(m[l].b[i], half);
          }
        }
        for (int l = 0; l < 32; l++) {
          for (int i = 0; i < 4; i++) {
            const int r = l / 4 + 8 * (i / 2), n = 2 * (l % 4) + i % 2;
            float column[16];
            for (int k = 0; k < 16; k++) column[k] = b[k][n];
            m[l].c[i] = tensor_core_sum(a[r], column, 16, m[l].c[i]);
          }
          std::memcpy(lanes[l]->out, m[l].c, sizeof m[l].c);
        }
      },
      where);
  std::memcpy(c, e.out, sizeof c);
}

void load_matrices(const void* row, bool transposed, uint32_t (&r)[4], const Where& where) {
  struct In {
    const void* row;
    bool transposed;
  } in = {row, transposed};
  check_aligned(row);
  Exchange& e = warp_operation(
      "ldmatrix", 0xffffffffu, &in, sizeof in,
      [](Exchange* lanes[32], uint32_t) {
        In rows[32];
        uint16_t element[4][8][8];
        for (int l = 0; l < 32; l++) {
          std::memcpy(&rows[l], lanes[l]->in, sizeof rows[l]);
          std::memcpy(element[l / 8][l % 8], rows[l].row, 16);
        }
        for (int l = 0; l < 32; l++) {
          const int g = l / 4, t = 2 * (l % 4);
          uint32_t words[4];
          for (int i = 0; i < 4; i++) {
            const uint32_t low = rows[l].transposed ? element[i][t][g] : element[i][g][t];
            const uint32_t high = rows[l].transposed ? element[i][t + 1][g] : element[i][g][t + 1];
            words[i] = low | high << 16;
          }
          std::memcpy(lanes[l]->out, words, sizeof words);
        }
      },
      where);
  std::memcpy(r, e.out, sizeof r);
}

namespace {

// Returns the file that the environment names for the log of launches, or nullptr.
std::FILE* launch_log() {
  static std::FILE* file = [] {
    const char* name = std::getenv("PRECIS_EMULATION_LOG");
    return name == nullptr ? nullptr : std::fopen(name, "w");
  }();
  return file;
}

// Returns true if kernels are logged and not run: a whole model is then over in seconds.
bool launches_only() {
  static const bool only = [] {
    const char* wish = std::getenv("PRECIS_EMULATION_LOG_ONLY");
    return wish != nullptr && std::strcmp(wish, "1") == 0;
  }();
  return only;
}

}  // namespace

void log_work(const char* kind, size_t bytes) {
  if (std::FILE* log = launch_log(); log != nullptr) {
    std::fprintf(log, "%s\t%zu\n", kind, bytes);
    std::fflush(log);
  }
}

cudaError_t run(const char* name, dim3 grid, dim3 block, size_t shared_bytes,
                const std::function<void()>& thread) {
  Launch& l = launch_state;
  constexpr uint32_t kMaxThreads = 1024;
  error_text.clear();
  kernel_name = name;
  l.failed = false;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 ||
      grid.z > 65535 || block.x == 0 || block.y == 0 || block.z == 0 ||
      block.x * block.y * block.z > kMaxThreads || shared_bytes > device().shared_bytes) {
    error_text = kernel_name + ": the grid, block or shared memory exceeds the limits of a launch";
    return cudaErrorInvalidConfiguration;
  }
  if (std::FILE* log = launch_log(); log != nullptr) {
    std::fprintf(log, "kernel\t%s\t%u\t%u\t%u\t%u\t%zu\n", name, grid.x, grid.y, grid.z,
                 block.x * block.y * block.z, shared_bytes);
    std::fflush(log);
    // The first launches are the trial of wgmma, which must be right.
    constexpr uint64_t kOfTrial = 8;
    if (launches_only() && ++launched > kOfTrial) return cudaSuccess;
  }
  l.entry = &thread;
  l.random = seed_of_order;
  gridDim = grid;
  blockDim = block;
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  std::vector<uint64_t> order(blocks);
  for (uint64_t b = 0; b < blocks; b++) order[b] = seed_of_order == 1 ? blocks - 1 - b : b;
  for (uint64_t b = blocks; seed_of_order >= 2 && b > 1; b--) {
    std::swap(order[b - 1], order[next_random() % b]);
  }
  for (uint64_t b : order) {
    blockIdx = {static_cast<uint32_t>(b % grid.x), static_cast<uint32_t>(b / grid.x % grid.y),
                static_cast<uint32_t>(b / grid.x / grid.y)};
    run_block(block, shared_bytes);
    if (l.failed) return cudaErrorLaunchFailure;
  }
  return cudaSuccess;
}

}  // namespace emulation

void set_emulation_seed(uint64_t seed) { emulation::seed_of_order = seed; }

const char* emulation_error() { return emulation::error_text.c_str(); }

}  // namespace precis
