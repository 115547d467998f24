// Transposition of words of four bytes in memory.
#ifndef PRECIS_CPU_TRANSPOSE_H_
#define PRECIS_CPU_TRANSPOSE_H_

#include <cstdint>

namespace precis {
namespace PRECIS_ISA {

// Four by four words: c[i][j] = r[j][i].
typedef uint32_t Words __attribute__((vector_size(16)));
static inline void transpose(const uint32_t* from, int64_t from_stride, uint32_t* to,
                             int64_t to_stride) {
  Words r[4];
  for (int i = 0; i < 4; i++) __builtin_memcpy(&r[i], from + i * from_stride, 16);
  const Words a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
  const Words b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
  const Words c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
  const Words d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
  r[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
  r[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
  r[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
  r[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
  for (int i = 0; i < 4; i++) __builtin_memcpy(to + i * to_stride, &r[i], 16);
}

}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_CPU_TRANSPOSE_H_
