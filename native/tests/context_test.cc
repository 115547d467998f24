// Tests contexts: the arguments that they refuse, and that they release threads, affinity and
// memory.

#include <sched.h>

#include <atomic>
#include <thread>

#include "test.h"

using namespace precis;

int main() {
  EXPECT(precis_context_create(nullptr, nullptr) == PRECIS_INVALID_ARGUMENT);
  TestContext nonsense("sse17", 1);
  EXPECT(nonsense.status() == PRECIS_INVALID_ARGUMENT);
  EXPECT(nonsense.error().find("sse17") != std::string::npos, "said: %s", nonsense.error().c_str());
  EXPECT(TestContext(nullptr, -1).status() == PRECIS_INVALID_ARGUMENT);
  precis_context_destroy(nullptr);

  cpu_set_t before, during, after;
  sched_getaffinity(0, sizeof before, &before);
  {
    TestContext context(nullptr, 2);
    GuardedTensor x(PRECIS_FLOAT32, {64, 4096}), y(PRECIS_BFLOAT16, {64, 4096});
    x.fill(1.5f);
    precis_convert_args args = {x, y};
    EXPECT_OK(context, precis_convert(context, &args));
    sched_getaffinity(0, sizeof during, &during);
    EXPECT(CPU_COUNT(&during) == 1);
    // Another thread uses the context: the first one gets its affinity back.
    std::thread([&] { EXPECT_OK(context, precis_convert(context, &args)); }).join();
    sched_getaffinity(0, sizeof after, &after);
    EXPECT(CPU_EQUAL(&before, &after));
    // A caller that synchronizes gets its affinity back too; the next operation pins it again.
    for (int i = 0; i < 2; i++) {
      EXPECT_OK(context, precis_convert(context, &args));
      sched_getaffinity(0, sizeof during, &during);
      EXPECT(CPU_COUNT(&during) == 1);
      EXPECT_OK(context, precis_synchronize(context));
      sched_getaffinity(0, sizeof after, &after);
      EXPECT(CPU_EQUAL(&before, &after));
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
  sched_getaffinity(0, sizeof after, &after);
  EXPECT(CPU_EQUAL(&before, &after));
  for (int i = 0; i < 200; i++) EXPECT(TestContext(nullptr, 2).status() == PRECIS_OK);
  return test_result();
}
