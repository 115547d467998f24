// The vocabulary of the kernels: CUDA's names, which mean the same on the GPU and under emulation/,
// and a few names of our own where a C++ compiler cannot read CUDA's syntax.
//
//   PRECIS_SHARED(float, sums, 32);     __shared__ float sums[32], bounds-checked under emulation
//   DynamicShared dynamic;              the shared memory that the launch asked for, in parts:
//   auto tile = dynamic.take<float>(n)
//   copy_async                          cp.async of 16 bytes
//   mma_bf16, load_matrices             warp-level tensor core instructions of sm_80 and later
//
// A block has a multiple of 32 threads in x; block_reduce and thread() assume a one-dimensional
// block.
#ifndef PRECIS_CUDA_DEVICE_H_
#define PRECIS_CUDA_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "launch.h"
#include "ops/op.h"
#include "random/portable_math.h"

// For large functions that are rarely called.
#if defined(__CUDACC__)
#define PRECIS_NOINLINE __noinline__
#else
#define PRECIS_NOINLINE __attribute__((noinline))
#endif

namespace precis {

constexpr uint32_t kAllLanes = 0xffffffffu;

__device__ __forceinline__ int thread() { return static_cast<int>(threadIdx.x); }

template <class T>
PRECIS_HOST_DEVICE constexpr T min(T a, T b) {
  return b < a ? b : a;
}

// ------------------------------------------------------------------ shared memory

// An array in shared memory.
template <class T>
class Shared {
 public:
#if defined(__CUDACC__)
  __device__ Shared(T* data, int) : data_(data) {}
  __device__ T& operator[](int i) const { return data_[i]; }
  // The address of the elements [i, i + count).
  __device__ T* at(int i, int) const { return data_ + i; }
  __device__ Shared part(int i, int count) const { return Shared(data_ + i, count); }
#else
  Shared(T* data, int count) : data_(data), count_(count) {}
  T& operator[](int i) const { return *at(i, 1); }
  T* at(int i, int count) const {
    if (i < 0 || count < 0 || i + count > count_) {
      emulation::fail("elements %d to %d of shared memory that holds %d", i, i + count, count_);
    }
    return data_ + i;
  }
  Shared part(int i, int count) const { return Shared(at(i, count), count); }
  int count() const { return count_; }
#endif

 private:
  T* data_;
#if !defined(__CUDACC__)
  int count_;
#endif
};

#if defined(__CUDACC__)
#define PRECIS_SHARED(type, name, count)            \
  __shared__ alignas(16) type name##_memory[count]; \
  const ::precis::Shared<type> name(name##_memory, count)
#else
#define PRECIS_SHARED(type, name, count)                                                     \
  static char name##_key;                                                                    \
  const ::precis::Shared<type> name(static_cast<type*>(::precis::emulation::shared_variable( \
                                        &name##_key, sizeof(type) * (count))),               \
                                    count)
#endif

#if defined(__CUDACC__)
extern __shared__ __align__(128) unsigned char precis_dynamic_shared[];
#endif

// The size of a part, so that the launcher can add up the shared memory that the kernel takes.
template <class T>
PRECIS_HOST_DEVICE constexpr size_t shared_bytes(int64_t count) {
  return (static_cast<size_t>(count) * sizeof(T) + 15) / 16 * 16;
}

class DynamicShared {
 public:
  template <class T>
  __device__ Shared<T> take(int count) {
#if defined(__CUDACC__)
    T* data = reinterpret_cast<T*>(precis_dynamic_shared + used_);
#else
    size_t bytes = 0;
    void* start = emulation::dynamic_shared(&bytes);
    if (used_ + shared_bytes<T>(count) > bytes) {
      emulation::fail("takes %zu bytes of dynamic shared memory, the launch asked for %zu",
                      used_ + shared_bytes<T>(count), bytes);
    }
    T* data = reinterpret_cast<T*>(static_cast<unsigned char*>(start) + used_);
#endif
    used_ += shared_bytes<T>(count);
    return Shared<T>(data, count);
  }

 private:
  size_t used_ = 0;
};

// ------------------------------------------------------------------ bfloat16

struct Bf16 {
  uint16_t bits;
};

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(Bf16 x) {
  return __uint_as_float(static_cast<uint32_t>(x.bits) << 16);
}

// Rounds to nearest, ties to even; NaN stays NaN.
__device__ __forceinline__ Bf16 to_bf16(float x) {
#if defined(__CUDACC__)
  return {__bfloat16_as_ushort(__float2bfloat16_rn(x))};
#else
  return {float_to_bf16(x)};
#endif
}
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
#if defined(__CUDACC__)
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
#else
  return to_bf16(low).bits | static_cast<uint32_t>(to_bf16(high).bits) << 16;
#endif
}
__device__ __forceinline__ float round_to_bf16(float x) { return to_float(to_bf16(x)); }

__device__ __forceinline__ void store(float* p, float x) { *p = x; }
__device__ __forceinline__ void store(Bf16* p, float x) { *p = to_bf16(x); }

// ------------------------------------------------------------------ eight elements at a time

constexpr int kEight = 8;

// Tells whether 16 bytes can be loaded or stored at once.
__host__ __device__ __forceinline__ bool is_aligned(const void* p) {
  return (reinterpret_cast<uintptr_t>(p) & 15) == 0;
}

// Loads 16 bytes at an address that is a multiple of 16.
__device__ __forceinline__ uint4 load16(const void* p) {
#if defined(__CUDACC__)
  return *static_cast<const uint4*>(p);
#else
  return emulation::load16(p);
#endif
}
__device__ __forceinline__ void store16(void* p, uint4 v) {
#if defined(__CUDACC__)
  *static_cast<uint4*>(p) = v;
#else
  emulation::store16(p, v);
#endif
}

// Loads 8 bytes at an address that is a multiple of 8.
__device__ __forceinline__ uint2 load_eight_bytes(const void* p) {
#if defined(__CUDACC__)
  return *static_cast<const uint2*>(p);
#else
  return emulation::load8(p);
#endif
}

// Returns byte i of a word as a signed number.
__device__ __forceinline__ float byte_as_float(uint32_t word, int i) {
#if defined(__CUDACC__)
  // 2^23 + 128 + the number, whose bits are in order.
  const uint32_t bits = __byte_perm(word ^ 0x80808080u, 0x4b000000u, 0x7440u + i);
  return __uint_as_float(bits) - 8388736.0f;
#else
  return static_cast<float>(static_cast<int8_t>(word >> 8 * i));
#endif
}

// Has the line of an address come into the L2 cache. Nothing waits for it.
__device__ __forceinline__ void prefetch(const void* p) {
#if defined(__CUDACC__)
  asm volatile("prefetch.global.L2 [%0];" ::"l"(p));
#else
  (void)p;
#endif
}

// Waits until the kernels before this one in the stream have ended and what they wrote can be read, and
// lets the next kernel begin, as far as launch_dependent (cuda_context.h) has them overlap.
__device__ __forceinline__ void wait_for_previous_kernel() {
#if !defined(__CUDACC__)
  emulation::wait_for_previous_kernel();
#elif __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;\n\tgriddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// Returns how many of the next eight elements exist if left elements are left, which may be negative.
template <class Integer>
__device__ __forceinline__ int up_to_eight(Integer left) {
  return left < 0 ? 0 : left < kEight ? static_cast<int>(left) : kEight;
}

__device__ __forceinline__ uint32_t element_bits(float x) { return __float_as_uint(x); }
__device__ __forceinline__ uint32_t element_bits(Bf16 x) { return x.bits; }

// Eight elements as they lie in memory. A kernel that waits for memory first loads all that it is
// going to need and converts it afterwards: then the loads are in flight together.
template <class T>
struct RawEight {
  static constexpr int kVectors = static_cast<int>(sizeof(T)) / 2;
  uint4 vector[kVectors];

  // p is aligned.
  __device__ __forceinline__ void load(const T* p) {
#pragma unroll
    for (int i = 0; i < kVectors; i++) vector[i] = load16(p + i * (16 / sizeof(T)));
  }
  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < kVectors; i++) vector[i] = {0, 0, 0, 0};
  }
  // Loads count <= 8 elements and sets the others to 0; 16 bytes at a time where p is aligned.
  __device__ __forceinline__ void load(const T* p, int count) {
    if (count == kEight && is_aligned(p)) {
      load(p);
      return;
    }
    constexpr int kInWord = 4 / static_cast<int>(sizeof(T)), kBits = 32 / kInWord;
    uint32_t words[4 * kVectors] = {};
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      if (i < count) words[i / kInWord] |= element_bits(p[i]) << (i % kInWord * kBits);
    }
#pragma unroll
    for (int i = 0; i < kVectors; i++) {
      vector[i] = {words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3]};
    }
  }
  __device__ __forceinline__ void convert(float (&v)[kEight]) const {
#pragma unroll
    for (int i = 0; i < kVectors; i++) {
      const uint32_t words[4] = {vector[i].x, vector[i].y, vector[i].z, vector[i].w};
#pragma unroll
      for (int j = 0; j < 4; j++) {
        if constexpr (sizeof(T) == 2) {
          v[2 * j] = __uint_as_float(words[j] << 16);
          v[2 * j + 1] = __uint_as_float(words[j] & 0xffff0000u);
        } else {
          v[4 * i + j] = __uint_as_float(words[j]);
        }
      }
    }
  }
};

// Loads count <= 8 elements and sets the others to 0; 16 bytes at a time where p is aligned.
__device__ __forceinline__ void load8(const float* p, int count, float (&v)[kEight]) {
  if (count == kEight && is_aligned(p)) {
    const uint4 a = load16(p), b = load16(p + 4);
    const uint32_t words[kEight] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
#pragma unroll
    for (int i = 0; i < kEight; i++) v[i] = __uint_as_float(words[i]);
    return;
  }
#pragma unroll
  for (int i = 0; i < kEight; i++) v[i] = i < count ? p[i] : 0.0f;
}
__device__ __forceinline__ void load8(const Bf16* p, int count, float (&v)[kEight]) {
  if (count == kEight && is_aligned(p)) {
    const uint4 a = load16(p);
    const uint32_t words[4] = {a.x, a.y, a.z, a.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
      v[2 * i] = __uint_as_float(words[i] << 16);
      v[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kEight; i++) v[i] = i < count ? to_float(p[i]) : 0.0f;
}
__device__ __forceinline__ void store8(float* p, int count, const float (&v)[kEight]) {
  if (count == kEight && is_aligned(p)) {
    uint32_t words[kEight];
#pragma unroll
    for (int i = 0; i < kEight; i++) words[i] = __float_as_uint(v[i]);
    store16(p, {words[0], words[1], words[2], words[3]});
    store16(p + 4, {words[4], words[5], words[6], words[7]});
    return;
  }
#pragma unroll
  for (int i = 0; i < kEight; i++) {
    if (i < count) p[i] = v[i];
  }
}
__device__ __forceinline__ void store8(Bf16* p, int count, const float (&v)[kEight]) {
  if (count == kEight && is_aligned(p)) {
    store16(p, {pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]), pack_bf16(v[4], v[5]),
                pack_bf16(v[6], v[7])});
    return;
  }
#pragma unroll
  for (int i = 0; i < kEight; i++) {
    if (i < count) p[i] = to_bf16(v[i]);
  }
}

// A row-major matrix, as kernels see it.
template <class T>
struct Matrix {
  T* data;
  int64_t stride;

  __device__ __forceinline__ T* row(int64_t m) const { return data + m * stride; }
};
template <class T>
static inline Matrix<T> matrix(const precis_tensor& t) {
  return {static_cast<T*>(t.data), row_stride(t)};
}

// Eight elements of an AnyMatrix as they lie in memory.
struct AnyEight {
  uint4 vector[2];  // the first alone for bfloat16
  bool bf16;

  __device__ __forceinline__ void convert(float (&v)[kEight]) const {
    if (bf16) {
      RawEight<Bf16>{{vector[0]}}.convert(v);
    } else {
      RawEight<float>{{vector[0], vector[1]}}.convert(v);
    }
  }
};

// A float32 or bfloat16 matrix whose type is tested at run time. Memory-bound kernels use it, so
// that one instance serves every combination of types.
struct AnyMatrix {
  void* data;
  int64_t stride;
  bool bf16;

  __device__ __forceinline__ float get(int64_t m, int64_t n) const {
    return bf16 ? to_float(static_cast<const Bf16*>(data)[m * stride + n])
                : static_cast<const float*>(data)[m * stride + n];
  }
  __device__ __forceinline__ void set(int64_t m, int64_t n, float v) const {
    if (bf16) {
      static_cast<Bf16*>(data)[m * stride + n] = to_bf16(v);
    } else {
      static_cast<float*>(data)[m * stride + n] = v;
    }
  }
  // Loads count <= 8 elements of row m from column n on.
  __device__ __forceinline__ void load(int64_t m, int64_t n, int count, float (&v)[kEight]) const {
    if (bf16) {
      load8(static_cast<const Bf16*>(data) + m * stride + n, count, v);
    } else {
      load8(static_cast<const float*>(data) + m * stride + n, count, v);
    }
  }
  // The same, to be converted later.
  __device__ __forceinline__ AnyEight raw(int64_t m, int64_t n, int count) const {
    AnyEight held;
    held.bf16 = bf16;
    if (bf16) {
      RawEight<Bf16> eight;
      eight.load(static_cast<const Bf16*>(data) + m * stride + n, count);
      held.vector[0] = held.vector[1] = eight.vector[0];
    } else {
      RawEight<float> eight;
      eight.load(static_cast<const float*>(data) + m * stride + n, count);
      held.vector[0] = eight.vector[0];
      held.vector[1] = eight.vector[1];
    }
    return held;
  }
  __device__ __forceinline__ void save(int64_t m, int64_t n, int count,
                                       const float (&v)[kEight]) const {
    if (bf16) {
      store8(static_cast<Bf16*>(data) + m * stride + n, count, v);
    } else {
      store8(static_cast<float*>(data) + m * stride + n, count, v);
    }
  }
};
static inline AnyMatrix any_matrix(const precis_tensor& t) {
  return {t.data, row_stride(t), t.dtype == PRECIS_BFLOAT16};
}

// Calls f with a null pointer to the element type, float or Bf16, and returns its result.
template <class F>
static inline cudaError_t with_type(int32_t dtype, const F& f) {
  return dtype == PRECIS_BFLOAT16 ? f(static_cast<Bf16*>(nullptr))
                                  : f(static_cast<float*>(nullptr));
}
// The type that f was called with.
#define PRECIS_TYPE_OF(pointer) std::remove_pointer_t<decltype(pointer)>

// Goes through the eights of [begin, end) that are step apart, kAhead of them at a time: load(i, count)
// returns what it has asked for of the elements [i, i + count), for all of them before the first is
// used by use(i, count, held). So the loads are in flight together; the order of the uses stays.
template <int kAhead, class Integer, class Load, class Use>
__device__ __forceinline__ void for_eights(Integer begin, Integer end, Integer step,
                                           const Load& load, const Use& use) {
  for (Integer i = begin; i < end; i += kAhead * step) {
    decltype(load(i, 0)) held[kAhead];
#pragma unroll
    for (int j = 0; j < kAhead; j++) held[j] = load(i + j * step, up_to_eight(end - i - j * step));
#pragma unroll
    for (int j = 0; j < kAhead; j++) {
      if (i + j * step < end) use(i + j * step, up_to_eight(end - i - j * step), held[j]);
    }
  }
}

// ------------------------------------------------------------------ reductions

struct Sum {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};
// Gives NaN when either is NaN.
struct Largest {
  __device__ __forceinline__ float operator()(float a, float b) const {
    return a != a || a > b ? a : b;
  }
};

template <class T, class Op>
__device__ __forceinline__ T warp_reduce(T value, const Op& op) {
#pragma unroll
  for (int d = 16; d > 0; d /= 2) value = op(value, __shfl_xor_sync(kAllLanes, value, d));
  return value;
}

// Returns to each lane the sum of value over the lanes up to and including itself.
template <class T>
__device__ __forceinline__ T warp_prefix_sum(T value) {
  const int lane = thread() % 32;
#pragma unroll
  for (int d = 1; d < 32; d *= 2) {
    const T left = __shfl_up_sync(kAllLanes, value, static_cast<unsigned>(d));
    if (lane >= d) value += left;
  }
  return value;
}

// Reduces over all threads of the block in a fixed order; every thread gets the result.
template <class T, class Op>
__device__ T block_reduce(T value, const Op& op) {
  PRECIS_SHARED(T, partials, 32);
  value = warp_reduce(value, op);
  if (thread() % 32 == 0) partials[thread() / 32] = value;
  __syncthreads();
  T all = partials[0];
  for (int w = 1; w < static_cast<int>(blockDim.x) / 32; w++) all = op(all, partials[w]);
  __syncthreads();
  return all;
}

// ------------------------------------------------------------------ asynchronous copies

// Copies 16 bytes from global to shared memory, both aligned to 16; writes zeros unless wanted. A
// thread sees its own copies after copy_async_wait, those of other threads after a barrier that
// follows it.
__device__ __forceinline__ void copy_async(void* to, const void* from, bool wanted) {
#if defined(__CUDACC__)
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  const int bytes = wanted ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes)
               : "memory");
#else
  emulation::copy_async(to, wanted ? from : nullptr, 16);
#endif
}
__device__ __forceinline__ void copy_async_commit() {
#if defined(__CUDACC__)
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  emulation::copy_async_commit();
#endif
}
// Waits until at most kLeft of the committed groups are pending.
template <int kLeft>
__device__ __forceinline__ void copy_async_wait() {
#if defined(__CUDACC__)
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
#else
  emulation::copy_async_wait(kLeft);
#endif
}

// ------------------------------------------------------------------ tensor cores

// Loads four 8 x 8 matrices of 16-bit elements from shared memory (ldmatrix). Lane 8 i + j gives
// the address of row j of matrix i, 16 bytes aligned to 16. Lane t receives elements (t / 4, 2 (t
// mod 4)) and (t / 4, 2 (t mod 4) + 1) of each matrix, or of its transpose.
template <bool kTransposed>
__device__ __forceinline__ void load_matrices(const Bf16* row, uint32_t (&r)[4]) {
#if defined(__CUDACC__)
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
  }
#else
  emulation::load_matrices(row, kTransposed, r);
#endif
}

// c += a b on a warp's tile of 16 x 8 x 16, bfloat16 into float32 (mma.m16n8k16). With g = lane / 4
// and t = lane mod 4:
//   a[i]: row g + 8 (i mod 2), columns 2 t + 8 (i / 2) and the next     (row-major 16 x 16)
//   b[i]: column g, rows 2 t + 8 i and the next                         (16 x 8)
//   c[i]: row g + 8 (i / 2), column 2 t + i mod 2                       (16 x 8)
__device__ __forceinline__ void mma_bf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0,
                                         uint32_t b1) {
#if defined(__CUDACC__)
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  emulation::mma_bf16(c, a, b0, b1);
#endif
}

// Loads a 16 x 16 fragment whose upper left corner is (row, column) of a tile with rows of stride
// elements: the operand a of mma_bf16.
__device__ __forceinline__ void load_a(const Shared<Bf16>& tile, int stride, int row, int column,
                                       uint32_t (&f)[4]) {
  const int lane = thread() % 32;
  load_matrices<false>(tile.at((row + lane % 16) * stride + column + lane / 16 * kEight, kEight),
                       f);
}
// Loads two operands b of mma_bf16 from a tile that has a row for each of their columns: f[0], f[1]
// for the rows [row, row + 8) of the tile and f[2], f[3] for the eight that begin distance further
// on.
__device__ __forceinline__ void load_b(const Shared<Bf16>& tile, int stride, int row, int column,
                                       uint32_t (&f)[4], int distance = 8) {
  const int lane = thread() % 32;
  const int at = row + lane % 8 + lane / 16 * distance;
  load_matrices<false>(tile.at(at * stride + column + lane / 8 % 2 * kEight, kEight), f);
}

}  // namespace precis

#endif  // PRECIS_CUDA_DEVICE_H_
