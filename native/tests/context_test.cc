// Tests contexts: the arguments that they refuse, and that they release threads, affinity and
// memory.

#if defined(__linux__)
#include <sched.h>
#endif

#include <atomic>
#include <thread>

#include "test.h"

using namespace precis;

namespace {

// The affinity of the calling thread. Where threads cannot be pinned, nothing can be said of it.
struct Affinity {
#if defined(__linux__)
  cpu_set_t set;
  Affinity() { sched_getaffinity(0, sizeof set, &set); }
  bool pinned() const { return CPU_COUNT(&set) == 1; }
  bool operator==(const Affinity& other) const { return CPU_EQUAL(&set, &other.set); }
#else
  bool pinned() const { return true; }
  bool operator==(const Affinity&) const { return true; }
#endif
};

// The instruction sets of this kind of processor are known, those of other kinds are not, and the
// basic ones are there. Prints those that the other tests run with.
void test_instruction_sets() {
  std::string here;
  for (const std::string isa : kIsas) {
    const TestContext context(isa.c_str(), 1);
    const bool arm = isa.rfind("neon", 0) == 0, x86 = isa.rfind("avx", 0) == 0;
#if defined(__aarch64__)
    const bool known = !x86, must = !x86 && (isa == "neon" || !arm);
#elif defined(__x86_64__)
    const bool known = !arm, must = !arm && !x86;
#else
    const bool known = !arm && !x86, must = known;
#endif
    if (known) {
      EXPECT(context.status() == PRECIS_OK || (!must && context.status() == PRECIS_UNSUPPORTED),
             "%s: %s", isa.c_str(), context.error().c_str());
    } else {
      EXPECT(context.status() == PRECIS_INVALID_ARGUMENT &&
                 context.error().find("is not one of") != std::string::npos,
             "%s: %s", isa.c_str(), context.error().c_str());
    }
    if (context.status() == PRECIS_OK) here += " " + isa;
  }
  std::printf("instruction sets:%s\n", here.c_str());
}

}  // namespace

int main() {
  test_instruction_sets();
  EXPECT(precis_context_create(nullptr, nullptr) == PRECIS_INVALID_ARGUMENT);
  TestContext nonsense("sse17", 1);
  EXPECT(nonsense.status() == PRECIS_INVALID_ARGUMENT);
  EXPECT(nonsense.error().find("sse17") != std::string::npos, "said: %s", nonsense.error().c_str());
  EXPECT(TestContext(nullptr, -1).status() == PRECIS_INVALID_ARGUMENT);
  precis_context_destroy(nullptr);

  const Affinity before;
  {
    TestContext context(nullptr, 2);
    GuardedTensor x(PRECIS_FLOAT32, {64, 4096}), y(PRECIS_BFLOAT16, {64, 4096});
    x.fill(1.5f);
    precis_convert_args args = {x, y};
    EXPECT_OK(context, precis_convert(context, &args));
    EXPECT(Affinity().pinned());
    // Another thread uses the context: the first one gets its affinity back.
    std::thread([&] { EXPECT_OK(context, precis_convert(context, &args)); }).join();
    EXPECT(Affinity() == before);
    // A caller that synchronizes gets its affinity back too; the next operation pins it again.
    for (int i = 0; i < 2; i++) {
      EXPECT_OK(context, precis_convert(context, &args));
      EXPECT(Affinity().pinned());
      EXPECT_OK(context, precis_synchronize(context));
      EXPECT(Affinity() == before);
    }

    precis_context_info info;
    EXPECT_OK(context, precis_context_describe(context, &info));
    EXPECT(info.abi_version == PRECIS_ABI_VERSION && info.threads == 2);
    EXPECT(std::strlen(info.isa) > 0);

    void* memory = nullptr;
    EXPECT_OK(context, precis_allocate(context, 5 << 20, &memory));
    EXPECT(reinterpret_cast<uintptr_t>(memory) % 4096 == 0);
    EXPECT(static_cast<char*>(memory)[(5 << 20) - 1] == 0);
    EXPECT_OK(context, precis_free(context, memory, 5 << 20));
    EXPECT_REFUSED(context, precis_allocate(context, -1, &memory), "-1 bytes");
    EXPECT(precis_allocate(context, int64_t{1} << 60, &memory) == PRECIS_OUT_OF_MEMORY);

    // A cancelled context refuses operations, not the rest, until it is allowed them again.
    EXPECT(precis_cancel(nullptr, 1) == PRECIS_INVALID_ARGUMENT);
    EXPECT_OK(context, precis_cancel(context, 1));
    EXPECT(precis_convert(context, &args) == PRECIS_CANCELLED);
    EXPECT(std::strstr(precis_last_error(context), "convert: cancelled") != nullptr);
    EXPECT_OK(context, precis_synchronize(context));
    EXPECT_OK(context, precis_allocate(context, 4096, &memory));
    EXPECT_OK(context, precis_free(context, memory, 4096));
    EXPECT_OK(context, precis_cancel(context, 0));
    EXPECT_OK(context, precis_convert(context, &args));

    // Two threads call at once: each call is executed or refused, and executed calls are correct.
    std::atomic<int> served{0}, refused{0}, other{0};
    auto hammer = [&](GuardedTensor& mine) {
      precis_convert_args own = {x, mine};
      // Calls at least 300 times, and until one call was executed: the other thread may win every
      // time.
      bool mine_served = false;
      for (int i = 0; i < 300 || !mine_served; i++) {
        const precis_status status = precis_convert(context, &own);
        mine_served |= status == PRECIS_OK;
        (status == PRECIS_OK ? served : status == PRECIS_INVALID_STATE ? refused : other)++;
      }
    };
    GuardedTensor a(PRECIS_BFLOAT16, {64, 4096}), b(PRECIS_BFLOAT16, {64, 4096});
    std::thread t1(hammer, std::ref(a)), t2(hammer, std::ref(b));
    t1.join();
    t2.join();
    EXPECT(other == 0 && served > 0 && served + refused >= 600);
    EXPECT(a.intact() && b.intact() && a.at(63, 4095) == 1.5f);
  }
  // Destroying a context restores the affinity of its last caller, which is not this thread: this
  // thread's affinity is unchanged.
  EXPECT(Affinity() == before);
  for (int i = 0; i < 200; i++) EXPECT(TestContext(nullptr, 2).status() == PRECIS_OK);
  return test_result();
}
