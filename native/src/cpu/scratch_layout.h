// Divides an operation's scratch memory.
#ifndef PRECIS_CPU_SCRATCH_LAYOUT_H_
#define PRECIS_CPU_SCRATCH_LAYOUT_H_

#include "cpu/ranges.h"

namespace precis {
namespace PRECIS_ISA {

// Places parts of scratch memory one behind the other, each on cache lines of its own.
class ScratchLayout {
 public:
  // Returns the offset of a part.
  int64_t add(int64_t bytes) {
    const int64_t at = bytes_;
    bytes_ += round_up(bytes, 64);
    return at;
  }
  int64_t bytes() const { return bytes_; }

 private:
  int64_t bytes_ = 0;
};

}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_CPU_SCRATCH_LAYOUT_H_
