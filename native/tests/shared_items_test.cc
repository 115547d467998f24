// Items that threads share: each is taken once, and a thread that is held up leaves its own to others.

#define PRECIS_ISA test
#include "cpu/shared_items.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "test.h"

using namespace precis;

namespace {

using Items = precis::test::SharedItems;

struct Memory {
  explicit Memory(int threads)
      : bytes(static_cast<size_t>(Items::bytes(threads)) + 64), data(new char[bytes]) {}
  void* start() {
    void* p = data.get();
    size_t room = bytes;
    return std::align(64, bytes - 64, p, room);
  }
  size_t bytes;
  std::unique_ptr<char[]> data;
};

void test_order() {
  Memory memory(2);
  Items items(memory.start(), 2, 5);
  bool in_order = false;
  // Thread 0 has items 0 and 1, thread 1 has 2 to 4.
  EXPECT(items.take(0, &in_order) == 0 && in_order);
  EXPECT(items.take(0, &in_order) == 1 && !in_order);
  EXPECT(items.take(0, &in_order) == 4 && !in_order, "from the back of the other slice");
  EXPECT(items.take(1, &in_order) == 2 && in_order);
  EXPECT(items.take(0, &in_order) == 3 && !in_order);
  EXPECT(items.take(1, &in_order) == -1 && items.take(0, &in_order) == -1);
}

void test_no_items() {
  Memory memory(3);
  Items items(memory.start(), 3, 0);
  bool in_order = false;
  for (int i = 0; i < 3; i++) EXPECT(items.take(i, &in_order) == -1);
}

void test_each_item_is_taken_once() {
  constexpr int kThreads = 4, kItems = 20000, kRounds = 20;
  Memory memory(kThreads);
  for (int round = 0; round < kRounds; round++) {
    Items items(memory.start(), kThreads, kItems);
    std::vector<std::atomic<int>> taken(kItems);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; i++) {
      threads.emplace_back([&, i] {
        bool in_order = false;
        for (int64_t item; (item = items.take(i, &in_order)) >= 0;) taken[item]++;
      });
    }
    for (std::thread& thread : threads) thread.join();
    int wrong = 0;
    for (const auto& count : taken) wrong += count != 1;
    EXPECT(wrong == 0, "%d of %d items are not taken once", wrong, kItems);
  }
}

void test_a_thread_that_is_held_up() {
  constexpr int kItems = 10;
  Memory memory(2);
  Items items(memory.start(), 2, kItems);
  std::atomic<bool> go{false};
  int64_t of_slow = 0, of_fast = 0;
  std::thread slow([&] {
    bool in_order = false;
    EXPECT(items.take(1, &in_order) == kItems / 2);
    of_slow++;
    while (!go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    while (items.take(1, &in_order) >= 0) of_slow++;
  });
  bool in_order = false;
  while (of_fast + 1 < kItems) {
    if (items.take(0, &in_order) < 0) {
      std::this_thread::yield();  // the slow thread has not taken its first item yet
    } else {
      of_fast++;
    }
  }
  go = true;
  slow.join();
  EXPECT(of_slow == 1 && of_fast == kItems - 1, "%d and %d", static_cast<int>(of_slow),
         static_cast<int>(of_fast));
}

}  // namespace

int main() {
  test_order();
  test_no_items();
  test_each_item_is_taken_once();
  test_a_thread_that_is_held_up();
  return test_result();
}
