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

enum class State { kReady, kBarrier, kCluster, kWarp, kEvent, kPrevious, kDone };
// At the barrier of the cluster: whether the thread has arrived, and whether all have.
enum class Arrival { kNone, kArrived, kAll };

struct AsyncCopy {
  void* to;
  const void* from;  // nullptr: zeros
  size_t bytes;
  int group;
};

struct Thread {
  Context context;
  char* stack = nullptr;
  int block;    // its rank in the cluster
  uint3 index;  // in the block
  State state;
  Arrival cluster;
  bool waited;  // for the previous kernel
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

// Threads that wait at a barrier, and the first of them.
struct Waiting {
  int count = 0;
  int first = 0;
  uint32_t line = 0;
};

struct Block {
  uint3 index;
  bool begun;
  int done;
  Waiting barrier;
  std::map<const void*, SharedMemory> variables;
  SharedMemory dynamic;
  std::shared_ptr<void> state;
};

// The blocks of a cluster, or the only one, and their threads, a block's after the other's.
struct Launch {
  const std::function<void()>* entry = nullptr;
  std::vector<std::unique_ptr<Block>> blocks;
  std::vector<std::unique_ptr<Thread>> threads;
  std::vector<int> ready;
  int cluster = 1;  // its blocks
  int count = 0;    // threads of a block
  int done = 0;
  Waiting barrier;
  bool dependent = false;
  std::function<cudaError_t()> previous;  // until it has run
  int current = -1;
  Context scheduler;
  uint64_t random = 0;
  bool failed = false;
};
Launch launch_state;
uint64_t seed_of_order = 2;
std::string error_text;
std::string kernel_name;
uint64_t launched = 0;

Thread& thread_at(int t) { return *launch_state.threads[static_cast<size_t>(t)]; }
Thread& self() { return thread_at(launch_state.current); }
Block& block_at(int b) { return *launch_state.blocks[static_cast<size_t>(b)]; }
Block& own_block() { return block_at(self().block); }
// The number of a thread in its block.
int in_block(int t) { return t % launch_state.count; }

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
  blockIdx = own_block().index;
  own_block().begun = true;
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
  if (me.cluster != Arrival::kNone) {
    fail("a thread exits between cluster_arrive and cluster_wait");
  }
  if (launch_state.dependent && !me.waited) {
    fail("a thread of a dependent launch exits without having waited for the kernel before it");
  }
  me.state = State::kDone;
  own_block().done++;
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

const char* of_block(const Thread& one, const Thread& other) {
  return one.block == other.block ? "" : " of another block";
}

// No thread can continue: reports which thread waits for what.
void explain_deadlock() {
  const Launch& l = launch_state;
  int waiting = -1, exited = -1, other = -1;
  for (int t = 0; t < l.cluster * l.count; t++) {
    const Thread& thread = thread_at(t);
    if (thread.state == State::kDone) {
      exited = exited < 0 ? t : exited;
    } else if (waiting < 0) {
      waiting = t;
    } else if (thread.where.line() != thread_at(waiting).where.line()) {
      other = other < 0 ? t : other;
    }
  }
  const Thread& thread = thread_at(waiting);
  threadIdx = thread.index;
  blockIdx = block_at(thread.block).index;
  if (other >= 0) {
    const Thread& o = thread_at(other);
    note_error("deadlock: waits in %s at line %u, thread %d%s in %s at line %u", thread.operation,
               thread.where.line(), in_block(other), of_block(thread, o), o.operation,
               o.where.line());
  } else if (exited >= 0) {
    note_error("deadlock: waits in %s at line %u, and thread %d%s has exited", thread.operation,
               thread.where.line(), in_block(exited), of_block(thread, thread_at(exited)));
  } else {
    note_error("deadlock: waits in %s at line %u", thread.operation, thread.where.line());
  }
}

// Runs the kernel before the running one. Meanwhile the state of the running one is put aside.
void run_previous() {
  static Launch spare;  // has the stacks of other threads
  const std::function<cudaError_t()> previous = std::move(launch_state.previous);
  launch_state.previous = nullptr;
  const dim3 grid = gridDim, block = blockDim;
  std::string name = kernel_name;
  std::swap(launch_state, spare);
  const cudaError_t error = previous();
  std::swap(launch_state, spare);
  kernel_name = std::move(name);
  gridDim = grid;
  blockDim = block;
  launch_state.failed = error != cudaSuccess;
}

// Runs the blocks first, first + 1, ... of the grid together.
void run_cluster(uint64_t first, dim3 block, size_t shared_bytes) {
  Launch& l = launch_state;
  const int threads = l.cluster * l.count;
  l.ready.clear();
  l.done = 0;
  l.barrier = {};
  while (l.blocks.size() < static_cast<size_t>(l.cluster)) {
    l.blocks.push_back(std::make_unique<Block>());
  }
  for (int b = 0; b < l.cluster; b++) {
    Block& each = block_at(b);
    const uint64_t n = first + static_cast<uint64_t>(b);
    each.index = {static_cast<uint32_t>(n % gridDim.x),
                  static_cast<uint32_t>(n / gridDim.x % gridDim.y),
                  static_cast<uint32_t>(n / gridDim.x / gridDim.y)};
    each.begun = false;
    each.done = 0;
    each.barrier = {};
    each.variables.clear();
    each.state.reset();
    fill(&each.dynamic, shared_bytes);
  }
  while (l.threads.size() < static_cast<size_t>(threads)) {
    l.threads.push_back(std::make_unique<Thread>());
    l.threads.back()->stack = new_stack();
  }
  for (int t = 0; t < threads; t++) {
    Thread& thread = thread_at(t);
    const auto n = static_cast<uint32_t>(in_block(t));
    thread.block = t / l.count;
    thread.index = {n % block.x, n / block.x % block.y, n / block.x / block.y};
    thread.copies.clear();
    thread.groups = 0;
    thread.cluster = Arrival::kNone;
    thread.waited = false;
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(thread.stack + kPage, kStackBytes);
#endif
    prepare(&thread.context, thread.stack + kPage, kStackBytes, fiber_main);
    wake(thread, t);
  }
  while (l.done < threads && !l.failed) {
    if (l.ready.empty() && l.previous != nullptr) {
      run_previous();
      if (l.failed) return;
      for (int t = 0; t < threads; t++) {
        if (thread_at(t).state == State::kPrevious) wake(thread_at(t), t);
      }
    }
    if (l.ready.empty()) return explain_deadlock();
    resume(take_ready());
  }
  for (int b = 0; b < l.cluster; b++) {
    Block& each = block_at(b);
    bool whole = intact(each.dynamic);
    for (auto& [key, memory] : each.variables) whole &= intact(memory);
    blockIdx = each.index;
    if (!whole && !l.failed) note_error("wrote outside the shared memory of the block");
  }
}

// Notes that the thread has come to a barrier.
void come(const char* name, Waiting* waiting, int done, const Where& where) {
  Thread& me = self();
  me.where = where;
  me.operation = name;
  if (done > 0) fail("%s at line %u: a thread has exited", name, where.line());
  if (waiting->count++ == 0) {
    waiting->first = launch_state.current;
    waiting->line = where.line();
  } else if (waiting->line != where.line()) {
    fail("is in %s at line %u, thread %d%s at line %u", name, where.line(),
         in_block(waiting->first), of_block(me, thread_at(waiting->first)), waiting->line);
  }
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

int lane() { return in_block(launch_state.current) % 32; }

void block_barrier(const Where& where) {
  Block& block = own_block();
  come("__syncthreads", &block.barrier, block.done, where);
  self().state = State::kBarrier;
  if (block.barrier.count == launch_state.count) {
    block.barrier.count = 0;
    const int begin = self().block * launch_state.count;
    for (int t = begin; t < begin + launch_state.count; t++) wake(thread_at(t), t);
  }
  to_scheduler();
}

uint32_t cluster_blocks() { return static_cast<uint32_t>(launch_state.cluster); }

uint32_t cluster_rank() { return static_cast<uint32_t>(self().block); }

void cluster_arrive(const Where& where) {
  Launch& l = launch_state;
  if (self().cluster != Arrival::kNone) {
    fail("cluster_arrive at line %u: it has not waited since it arrived", where.line());
  }
  come("cluster_arrive", &l.barrier, l.done, where);
  self().cluster = Arrival::kArrived;
  if (l.barrier.count < l.cluster * l.count) return;
  l.barrier.count = 0;
  for (int t = 0; t < l.cluster * l.count; t++) {
    thread_at(t).cluster = Arrival::kAll;
    if (thread_at(t).state == State::kCluster) wake(thread_at(t), t);
  }
}

void cluster_wait(const Where& where) {
  Thread& me = self();
  if (me.cluster == Arrival::kNone) {
    fail("cluster_wait at line %u: it has not arrived", where.line());
  }
  if (me.cluster == Arrival::kArrived) {
    me.where = where;
    me.operation = "cluster_wait";
    me.state = State::kCluster;
    to_scheduler();
  }
  me.cluster = Arrival::kNone;
}

bool is_sm90() { return device().major >= 9; }

void wait_for_previous_kernel() {
  Thread& me = self();
  me.waited = true;
  if (launch_state.previous == nullptr) return;
  me.state = State::kPrevious;
  to_scheduler();
}

Exchange& warp_operation(const char* name, uint32_t mask, const void* bytes, size_t count,
                         Resolve resolve, const Where& where) {
  Launch& l = launch_state;
  Thread& me = self();
  const int begin = me.block * l.count, end = begin + l.count;
  const int first = begin + in_block(l.current) / 32 * 32;
  if ((mask >> lane() & 1) == 0) {
    fail("%s at line %u: the mask %08x does not include the lane itself, %d", name, where.line(),
         mask, lane());
  }
  me.state = State::kWarp;
  me.where = where;
  me.operation = name;
  me.mask = mask;
  if (count > 0) std::memcpy(me.exchange.in, bytes, count);
  if (first + 32 > end && (mask >> (end - first)) != 0) {
    fail("%s at line %u: the mask %08x includes lanes that do not exist", name, where.line(), mask);
  }
  Exchange* lanes[32] = {};
  bool complete = true;
  for (int i = 0; i < 32 && complete; i++) {
    if ((mask >> i & 1) == 0) continue;
    Thread& t = thread_at(first + i);
    complete = t.state == State::kWarp && t.mask == mask && t.operation == name &&
               t.where.line() == where.line();
    lanes[i] = &t.exchange;
  }
  if (complete) {
    resolve(lanes, mask);
    for (int i = 0; i < 32; i++) {
      if (lanes[i] != nullptr) wake(thread_at(first + i), first + i);
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
  for (int t = 0; t < launch_state.cluster * launch_state.count; t++) {
    Thread& thread = thread_at(t);
    if (thread.state == State::kEvent && thread.event == event) wake(thread, t);
  }
}

std::shared_ptr<void>& block_state() { return own_block().state; }

void* shared_variable(const void* key, size_t bytes) {
  auto [it, added] = own_block().variables.try_emplace(key);
  if (added) fill(&it->second, bytes);
  return it->second.data;
}

void* dynamic_shared(size_t* bytes) {
  *bytes = own_block().dynamic.bytes;
  return own_block().dynamic.data;
}

void touch_peer(uint32_t rank) {
  const Block& peer = block_at(static_cast<int>(rank));
  if (!peer.begun)
    fail("touches the shared memory of block %u of the cluster before it begins", rank);
  if (peer.done == launch_state.count) {
    fail("touches the shared memory of block %u of the cluster after it has ended", rank);
  }
}

void* peer_shared(const void* p, uint32_t rank) {
  if (rank >= cluster_blocks()) {
    fail("there is no block %u in a cluster of %u", rank, cluster_blocks());
  }
  const auto* address = static_cast<const unsigned char*>(p);
  auto offset = [&](const SharedMemory& s) {
    return address >= s.data && address <= s.data + s.bytes ? address - s.data : -1;
  };
  Block& peer = block_at(static_cast<int>(rank));
  if (const ptrdiff_t at = offset(own_block().dynamic); at >= 0) return peer.dynamic.data + at;
  for (const auto& [key, memory] : own_block().variables) {
    if (offset(memory) < 0) continue;
    auto [it, added] = peer.variables.try_emplace(key);
    if (added) fill(&it->second, memory.bytes);
    return it->second.data + offset(memory);
  }
  fail("the address %p is not in the shared memory of the block", p);
}

namespace {

void check_aligned(const void* p, size_t bytes = 16) {
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0) {
    fail("the address %p is not aligned to %zu", p, bytes);
  }
}

}  // namespace

uint4 load16(const void* p) {
  check_aligned(p);
  uint4 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

uint2 load8(const void* p) {
  check_aligned(p, sizeof(uint2));
  uint2 v;
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

bool is_logging() { return launch_log() != nullptr; }

cudaError_t run(const LaunchShape& shape, const std::function<void()>& thread,
                const std::function<cudaError_t()>& previous) {
  const auto& [name, grid, block, shared_bytes, cluster, dependent] = shape;
  Launch& l = launch_state;
  constexpr uint32_t kMaxThreads = 1024;
  constexpr uint32_t kPortable = 8;  // a GPU may allow more, to a kernel that asks for it
  error_text.clear();
  kernel_name = name;
  l.failed = false;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 ||
      grid.z > 65535 || block.x == 0 || block.y == 0 || block.z == 0 ||
      block.x * block.y * block.z > kMaxThreads || shared_bytes > device().shared_bytes) {
    error_text = kernel_name + ": the grid, block or shared memory exceeds the limits of a launch";
    return cudaErrorInvalidConfiguration;
  }
  if (cluster == 0 || cluster > (is_sm90() ? kPortable : 1) || grid.x % cluster != 0) {
    error_text = kernel_name + ": there are no such clusters on this device or in this grid";
    return cudaErrorInvalidClusterSize;
  }
  if (std::FILE* log = launch_log(); log != nullptr) {
    std::fprintf(log, "kernel\t%s\t%u\t%u\t%u\t%u\t%zu\t%u\t%d\n", name, grid.x, grid.y, grid.z,
                 block.x * block.y * block.z, shared_bytes, cluster, dependent ? 1 : 0);
    std::fflush(log);
    // The first launches are the trial of wgmma, which must be right.
    constexpr uint64_t kOfTrial = 8;
    if (launches_only() && ++launched > kOfTrial) return cudaSuccess;
  }
  l.entry = &thread;
  l.dependent = dependent;
  l.previous = previous;
  l.random = seed_of_order;
  l.cluster = static_cast<int>(cluster);
  l.count = static_cast<int>(block.x * block.y * block.z);
  gridDim = grid;
  blockDim = block;
  const uint64_t clusters = uint64_t{grid.x} * grid.y * grid.z / cluster;
  std::vector<uint64_t> order(clusters);
  for (uint64_t c = 0; c < clusters; c++) order[c] = seed_of_order == 1 ? clusters - 1 - c : c;
  for (uint64_t c = clusters; seed_of_order >= 2 && c > 1; c--) {
    std::swap(order[c - 1], order[next_random() % c]);
  }
  for (uint64_t c : order) {
    run_cluster(c * cluster, block, shared_bytes);
    if (l.failed) {
      l.previous = nullptr;
      return cudaErrorLaunchFailure;
    }
  }
  return cudaSuccess;
}

}  // namespace emulation

void set_emulation_seed(uint64_t seed) { emulation::seed_of_order = seed; }

const char* emulation_error() { return emulation::error_text.c_str(); }

}  // namespace precis
