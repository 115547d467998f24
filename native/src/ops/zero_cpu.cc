#include <cstring>

#include "context.h"
#include "ops/zero.h"

namespace precis {
namespace PRECIS_ISA {

void zero_cpu(CpuContext& context, const precis_zero_args& a) {
  const int64_t bytes = columns(a.y) * element_bytes(a.y.dtype);
  const int64_t stride = row_stride(a.y) * element_bytes(a.y.dtype);
  // A large vector is split into pieces, as rows are.
  constexpr int64_t kPiece = 1 << 16;
  const int64_t pieces = (bytes + kPiece - 1) / kPiece;
  parallel_ranges(context.pool, rows(a.y) * pieces, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t from = i % pieces * kPiece, left = bytes - from;
      std::memset(static_cast<char*>(a.y.data) + i / pieces * stride + from, 0,
                  static_cast<size_t>(left < kPiece ? left : kPiece));
    }
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis
