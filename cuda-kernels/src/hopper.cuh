// Instructions of sm_90a: copies of tiles by TMA, barriers in shared memory that count bytes
// (mbarrier), and matrix products of a warpgroup (wgmma), as NVIDIA's PTX ISA documents them.
//
// A tile is a sequence of rows of 64 bfloat16 numbers, 128 bytes each, that starts at a multiple of
// 1024 bytes, in the 128-byte swizzle: the 16-byte pieces of a row are permuted by the row's number
// modulo 8, so that the same piece of eight rows lies in different banks. On the address that is
// bits 4 to 6 ^= bits 7 to 9, which TMA applies when it writes and wgmma when it reads.
//
// emulation/hopper.cc implements the same on the host. Only kernels for sm_90a may call these.
#ifndef PRECIS_CUDA_HOPPER_CUH_
#define PRECIS_CUDA_HOPPER_CUH_

#include "device.h"

#if defined(__CUDACC__)
#include "driver_function.h"
#else
#include "hopper.h"
#endif

// Defined if this pass of the compiler generates code for sm_90a.
#if !defined(__CUDACC__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define PRECIS_SM90A 1
#else
#define PRECIS_SM90A 0
#endif

namespace precis {

constexpr int kTileRowElements = 64;
constexpr int kTileRowBytes = 128;
constexpr int kTileAlignment = 1024;

// The matrix descriptor of wgmma for a tile whose K runs along its rows:
//   bits 0-13   start address / 16; 16 elements of K further on are 32 bytes, within the row
//   bits 16-29  leading dimension byte offset / 16: not used with a swizzle when K is contiguous; 1
//   bits 32-45  stride dimension byte offset / 16: from eight rows to the next eight, 1024 bytes
//   bits 49-51  base offset: 0, because the tile begins at a multiple of 1024
//   bits 62-63  1: 128-byte swizzle
PRECIS_HOST_DEVICE constexpr uint64_t tile_descriptor(uint32_t address) {
  return uint64_t{(address & 0x3ffff) >> 4} | uint64_t{1} << 16 |
         uint64_t{(8 * kTileRowBytes) >> 4} << 32 | uint64_t{1} << 62;
}
// The step of a descriptor for 16 elements of K.
constexpr uint64_t kDescriptorStep = 32 >> 4;

__device__ __forceinline__ uint32_t shared_address(const void* p) {
#if defined(__CUDACC__)
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
#else
  return emulation::shared_address(p);
#endif
}

// ------------------------------------------------------------------ mbarrier

// A barrier takes eight bytes. A phase completes when count threads and all expected bytes have
// arrived.
__device__ __forceinline__ void mbarrier_init(uint32_t barrier, uint32_t count) {
#if defined(__CUDACC__)
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
#else
  emulation::mbarrier_init(barrier, count);
#endif
}
// Call it after the last mbarrier_init, in the same thread, and before a __syncthreads.
__device__ __forceinline__ void mbarrier_init_fence() {
#if defined(__CUDACC__)
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
__device__ __forceinline__ void mbarrier_arrive(uint32_t barrier) {
#if defined(__CUDACC__)
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
#else
  emulation::mbarrier_arrive(barrier, 0);
#endif
}
__device__ __forceinline__ void mbarrier_arrive_expect(uint32_t barrier, uint32_t bytes) {
#if defined(__CUDACC__)
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
#else
  emulation::mbarrier_arrive(barrier, bytes);
#endif
}
// Waits until the phase of that parity is complete. For a new barrier the phase before the first,
// of parity 1, counts as complete. bounded: gives up after a fifth of a second, so that a trial
// cannot hang.
__device__ __forceinline__ void mbarrier_wait(uint32_t barrier, uint32_t parity, bool bounded) {
#if defined(__CUDACC__)
  uint64_t begin = 0;
  for (;;) {
    uint32_t over;
    asm volatile(
        "{\n.reg .pred p;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n}"
        : "=r"(over)
        : "r"(barrier), "r"(parity)
        : "memory");
    if (over != 0) return;
    if (!bounded) continue;
    uint64_t now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    if (begin == 0) begin = now;
    if (now - begin > 200'000'000) return;
  }
#else
  (void)bounded;
  emulation::mbarrier_wait(barrier, parity);
#endif
}

// ------------------------------------------------------------------ TMA

// Makes the tensor map of a bfloat16 matrix for boxes of box_rows (at most 256) rows and 64
// columns. Returns false where TMA cannot copy the matrix: rows must begin at multiples of 16
// bytes.
static inline bool describe_tiles(CUtensorMap* map, const void* data, int64_t rows, int64_t columns,
                                  int64_t stride, int box_rows) {
  constexpr int64_t kMax = int64_t{1} << 31;
  if (reinterpret_cast<uintptr_t>(data) % 16 != 0 || stride % kEight != 0 || stride >= kMax ||
      rows < 1 || columns < 1 || rows >= kMax || columns >= kMax) {
    return false;
  }
#if defined(__CUDACC__)
  static const auto encode =
      driver_function<decltype(&cuTensorMapEncodeTiled)>("cuTensorMapEncodeTiled", 12000);
  if (encode == nullptr) return false;
  const cuuint64_t dims[] = {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(2 * stride)};
  const cuuint32_t box[] = {kTileRowElements, static_cast<cuuint32_t>(box_rows)};
  const cuuint32_t steps[] = {1, 1};
  return encode(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, const_cast<void*>(data), dims, strides,
                box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
#else
  *map = {data, static_cast<uint64_t>(columns), static_cast<uint64_t>(rows),
          static_cast<uint64_t>(2 * stride), static_cast<uint32_t>(box_rows)};
  return true;
#endif
}

// Starts the copy of a box of the map, from (row, column) on, with zeros outside the matrix. The
// barrier counts the bytes of the whole box.
__device__ __forceinline__ void copy_tile(uint32_t to, const CUtensorMap& map, int column, int row,
                                          uint32_t barrier) {
#if defined(__CUDACC__)
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3}], [%4];" ::"r"(to),
      "l"(reinterpret_cast<uint64_t>(&map)), "r"(column), "r"(row), "r"(barrier)
      : "memory");
#else
  emulation::copy_tile(to, map, column, row, barrier);
#endif
}

// Makes the thread's writes to shared memory visible to wgmma and TMA of threads that it then
// synchronizes with by a barrier.
__device__ __forceinline__ void fence_proxy_async() {
#if defined(__CUDACC__)
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

// ------------------------------------------------------------------ wgmma

// d += a b' of a warpgroup, 64 x 16 by N x 16, bfloat16 into float32. Warp w has rows 16 w to
// 16 w + 15 of d. Columns 8 j to 8 j + 7 are d[j], distributed over the lanes like c of mma_bf16:
// pairs of neighbors, packed, are an operand a of mma_bf16.
//
// It is asynchronous: d may be read, and the tiles overwritten, only after a wait.
__device__ __forceinline__ void wgmma_fence() {
#if defined(__CUDACC__)
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
__device__ __forceinline__ void wgmma_commit() {
#if defined(__CUDACC__)
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#else
  emulation::wgmma_commit();
#endif
}
// Waits until at most kLeft of the committed groups are pending.
template <int kLeft>
__device__ __forceinline__ void wgmma_wait() {
#if defined(__CUDACC__)
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kLeft) : "memory");
#else
  emulation::wgmma_wait(kLeft);
#endif
}

// Call it between products and other code that uses d. Fences and waits do not name d, so without
// it the compiler could move such code across them.
template <int kTiles>
__device__ __forceinline__ void wgmma_registers(float (&d)[kTiles][4]) {
#if defined(__CUDACC__)
#pragma unroll
  for (int j = 0; j < kTiles; j++) {
#pragma unroll
    for (int e = 0; e < 4; e++) asm volatile("" : "+f"(d[j][e])::"memory");
  }
#else
  (void)d;
#endif
}

#if defined(__CUDACC__)
// The operands for the results of tile j and the following ones, and their numbers.
#define PRECIS_D4(j) "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
#define PRECIS_D8(j) PRECIS_D4(j), PRECIS_D4(j + 1)
#define PRECIS_D16(j) PRECIS_D8(j), PRECIS_D8(j + 2)
#define PRECIS_D64(j) PRECIS_D16(j), PRECIS_D16(j + 4), PRECIS_D16(j + 8), PRECIS_D16(j + 12)
#define PRECIS_8 "%0, %1, %2, %3, %4, %5, %6, %7"
#define PRECIS_16 PRECIS_8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define PRECIS_64                                                                                \
  PRECIS_16                                                                                      \
  ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, " \
  "%34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, "   \
  "%52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define PRECIS_72 PRECIS_64 ", %64, %65, %66, %67, %68, %69, %70, %71"
#define PRECIS_80 PRECIS_72 ", %72, %73, %74, %75, %76, %77, %78, %79"
#define PRECIS_128                                                                               \
  PRECIS_80                                                                                      \
  ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, %96, %97, " \
  "%98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, %112, "     \
  "%113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
// The arguments: N of the shape, the operand numbers of the results, those of a and b, the results.
#define PRECIS_WGMMA(n, list, a_and_b, ...)                                                    \
  asm volatile("wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" list "}, " a_and_b \
               ", 1, 1, 1, 0, 0;"                                                              \
               : __VA_ARGS__                                                                   \
               : "l"(a), "l"(b))
#endif

template <int kTiles>
__device__ __forceinline__ void wgmma(float (&d)[kTiles][4], uint64_t a, uint64_t b) {
  static_assert(kTiles == 2 || kTiles == 4 || kTiles == 16 || kTiles == 18 || kTiles == 20 ||
                kTiles == 32);
#if defined(__CUDACC__)
  if constexpr (kTiles == 2) {
    PRECIS_WGMMA(16, PRECIS_8, "%8, %9", PRECIS_D8(0));
  } else if constexpr (kTiles == 4) {
    PRECIS_WGMMA(32, PRECIS_16, "%16, %17", PRECIS_D16(0));
  } else if constexpr (kTiles == 16) {
    PRECIS_WGMMA(128, PRECIS_64, "%64, %65", PRECIS_D64(0));
  } else if constexpr (kTiles == 18) {
    PRECIS_WGMMA(144, PRECIS_72, "%72, %73", PRECIS_D64(0), PRECIS_D8(16));
  } else if constexpr (kTiles == 20) {
    PRECIS_WGMMA(160, PRECIS_80, "%80, %81", PRECIS_D64(0), PRECIS_D16(16));
  } else {
    PRECIS_WGMMA(256, PRECIS_128, "%128, %129", PRECIS_D64(0), PRECIS_D64(16));
  }
#else
  emulation::wgmma(&d[0][0], 4 * kTiles, a, b);
#endif
}

}  // namespace precis

#endif  // PRECIS_CUDA_HOPPER_CUH_
