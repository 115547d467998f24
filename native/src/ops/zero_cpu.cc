#include <cstring>

#include "context.h"
#include "ops/zero.h"

namespace precis {
namespace PRECIS_ISA {

void zero_cpu(CpuContext& context, const precis_zero_args& a) {
  int64_t count = rows(a.y), bytes = columns(a.y) * element_bytes(a.y.dtype);
  const int64_t stride = row_stride(a.y) * element_bytes(a.y.dtype);
  if (stride == bytes) {
    bytes *= count;
    count = 1;
  }
  // A large vector is split into pieces, as rows are.
  constexpr int64_t kPiece = 1 << 16;
  const int64_t pieces = ceil_div(bytes, kPiece), grain = bytes < kPiece / 16 ? 16 : 1;
  parallel_ranges(context.pool, count * pieces, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t from = i % pieces * kPiece;
      std::memset(static_cast<char*>(a.y.data) + i / pieces * stride + from, 0,
                  static_cast<size_t>(min(bytes - from, kPiece)));
    }
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis
