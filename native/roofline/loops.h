// The loops that are timed. loops.cc is compiled once for each instruction set, into a namespace of
// its own; it uses nothing of the standard library that the linker would keep one copy of.
#ifndef PRECIS_ROOFLINE_LOOPS_H_
#define PRECIS_ROOFLINE_LOOPS_H_

#include <cstdint>

namespace precis_roofline {

struct Loop {
  const char* description;  // "kind,set,instruction"
  // Of one step; 0 for a loop that touches memory.
  int64_t operations;
  // Runs steps of arithmetic on ones, and returns the sum of the accumulators.
  double (*arithmetic)(int64_t steps);
  // Passes over an array of a multiple of kBlock bytes, aligned to kBlock.
  void (*memory)(void* array, int64_t bytes);
  bool updates;
};

constexpr int64_t kBlock = 512;

// The loops of one instruction set.
struct Loops {
  const Loop* first;
  int count;
};

}  // namespace precis_roofline

#endif  // PRECIS_ROOFLINE_LOOPS_H_
