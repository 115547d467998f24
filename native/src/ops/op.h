// Shared by the headers of all operations.
#ifndef PRECIS_OPS_OP_H_
#define PRECIS_OPS_OP_H_

#include <cstdint>

#include "precis.h"

namespace precis {

class Check;
struct CpuContext;

// Declares the tuned kernel of an operation once for every instruction set. Arguments have been
// checked before a kernel or a reference sees them.
#define PRECIS_DECLARE_CPU_KERNEL(name, args)    \
  namespace portable {                           \
  void name(CpuContext& context, const args& a); \
  }                                              \
  namespace avx2 {                               \
  void name(CpuContext& context, const args& a); \
  }                                              \
  namespace avx512 {                             \
  void name(CpuContext& context, const args& a); \
  }                                              \
  namespace avx512_bf16 {                        \
  void name(CpuContext& context, const args& a); \
  }                                              \
  namespace neon {                               \
  void name(CpuContext& context, const args& a); \
  }                                              \
  namespace neon_dotprod {                       \
  void name(CpuContext& context, const args& a); \
  }                                              \
  namespace neon_bf16 {                          \
  void name(CpuContext& context, const args& a); \
  }

// The number of elements of the last dimension, and the number of rows that they form.
static inline int64_t columns(const precis_tensor& t) {
  return t.rank > 0 ? t.dims[t.rank - 1] : 1;
}
static inline int64_t rows(const precis_tensor& t) {
  int64_t n = 1;
  for (int i = 0; i + 1 < t.rank; i++) n *= t.dims[i];
  return n;
}
static inline int64_t row_stride(const precis_tensor& t) {
  return t.row_stride != 0 ? t.row_stride : columns(t);
}
template <class T>
static inline T* row(const precis_tensor& t, int64_t i) {
  return static_cast<T*>(t.data) + i * row_stride(t);
}

static inline int64_t element_bytes(int32_t dtype) {
  switch (dtype) {
    case PRECIS_INT8:
    case PRECIS_UINT8:
      return 1;
    case PRECIS_BFLOAT16:
    case PRECIS_FLOAT16:
      return 2;
    case PRECIS_INT64:
      return 8;
    default:
      return 4;
  }
}

// bfloat16 is the upper half of a float32.
static inline float bf16_to_float(uint16_t h) {
  const uint32_t bits = static_cast<uint32_t>(h) << 16;
  float f;
  __builtin_memcpy(&f, &bits, sizeof f);
  return f;
}
// Rounds to nearest, ties to even; NaN stays NaN.
static inline uint16_t float_to_bf16(float f) {
  uint32_t bits;
  __builtin_memcpy(&bits, &f, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  bits += 0x7fffu + ((bits >> 16) & 1u);
  return static_cast<uint16_t>(bits >> 16);
}

// References take float64 as well, so that tests can differentiate them numerically. No operation
// does: their checks refuse it.
constexpr int32_t kReferenceFloat64 = 64;

// One element of any float type: for references, not for kernels.
static inline double load_element(const precis_tensor& t, int64_t r, int64_t c) {
  if (t.dtype == PRECIS_BFLOAT16) return bf16_to_float(row<const uint16_t>(t, r)[c]);
  if (t.dtype == kReferenceFloat64) return row<const double>(t, r)[c];
  return row<const float>(t, r)[c];
}
static inline void store_element(const precis_tensor& t, int64_t r, int64_t c, double value) {
  if (t.dtype == PRECIS_BFLOAT16) {
    row<uint16_t>(t, r)[c] = float_to_bf16(static_cast<float>(value));
  } else if (t.dtype == kReferenceFloat64) {
    row<double>(t, r)[c] = value;
  } else {
    row<float>(t, r)[c] = static_cast<float>(value);
  }
}

}  // namespace precis

#endif  // PRECIS_OPS_OP_H_
