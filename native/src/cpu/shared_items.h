// Items of work that threads share: each begins with a slice of its own, front to back, and a thread
// that has finished takes items from the back of the slice that has the most left. So a thread that
// the system holds up for a while delays the others by an item and not by its slice.
#ifndef PRECIS_CPU_SHARED_ITEMS_H_
#define PRECIS_CPU_SHARED_ITEMS_H_

#include "cpu/ranges.h"

namespace precis {
namespace PRECIS_ISA {

class SharedItems {
 public:
  // The memory that so many threads need, on cache lines of its own.
  static int64_t bytes(int threads) { return threads * int64_t{sizeof(Slice)}; }

  // memory: aligned to 64 bytes. There are fewer than 2^32 items.
  SharedItems(void* memory, int threads, int64_t items)
      : slices_(static_cast<Slice*>(memory)), threads_(threads) {
    for (int i = 0; i < threads; i++) {
      const auto begin = static_cast<uint64_t>(slice_begin(items, threads, i));
      const auto end = static_cast<uint64_t>(slice_begin(items, threads, i + 1));
      __atomic_store_n(&slices_[i].left, begin << 32 | end, __ATOMIC_RELAXED);
    }
  }

  // Returns the thread's next item, or -1 when none is left. in_order: the item after it is the
  // thread's next one, unless another thread takes it.
  int64_t take(int thread, bool* in_order) {
    uint64_t left = __atomic_load_n(&slices_[thread].left, __ATOMIC_RELAXED);
    while (count(left) > 0) {
      if (swap(thread, &left, left + (uint64_t{1} << 32))) {
        *in_order = count(left) > 1;
        return static_cast<int64_t>(left >> 32);
      }
    }
    *in_order = false;
    for (;;) {
      int from = thread;
      uint64_t most = 0;
      for (int i = 0; i < threads_; i++) {
        const uint64_t of = __atomic_load_n(&slices_[i].left, __ATOMIC_RELAXED);
        if (count(of) > count(most)) {
          most = of;
          from = i;
        }
      }
      if (count(most) == 0) return -1;
      if (swap(from, &most, most - 1)) return static_cast<int64_t>((most & kEnd) - 1);
    }
  }

 private:
  struct alignas(64) Slice {
    uint64_t left;  // the first item in the upper half, the end in the lower
  };
  static constexpr uint64_t kEnd = 0xffffffff;
  static int64_t count(uint64_t left) {
    return static_cast<int64_t>(left & kEnd) - static_cast<int64_t>(left >> 32);
  }
  bool swap(int slice, uint64_t* from, uint64_t to) {
    return __atomic_compare_exchange_n(&slices_[slice].left, from, to, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
  }

  Slice* const slices_;
  const int threads_;
};

}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_CPU_SHARED_ITEMS_H_
