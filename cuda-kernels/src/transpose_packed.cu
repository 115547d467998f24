// Packs W' from packed W                                          native/src/ops/transpose_packed.h
//
// Both are row-major and padded with zeros to multiples of 64 (kernels.h), so a block transposes
// 64 x 64 elements through shared memory and needs no bounds checks.
#include "device.h"
#include "kernels.h"
#include "ops/transpose_packed.h"

namespace precis {
namespace {

constexpr int kSide = 64;
constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads)
    transpose_packed_kernel(const T* w, int64_t w_stride, T* out, int64_t out_stride, int64_t tiles,
                            int64_t tiles_across) {
  // The extra column avoids bank conflicts when a column is read.
  PRECIS_SHARED(T, tile, kSide * (kSide + 1));
  const int column = static_cast<int>(threadIdx.x) % kSide;
  const int first = static_cast<int>(threadIdx.x) / kSide;
  for (int64_t i = blockIdx.x; i < tiles; i += gridDim.x) {
    const int64_t n = i / tiles_across * kSide, k = i % tiles_across * kSide;
    for (int r = first; r < kSide; r += kThreads / kSide) {
      tile[r * (kSide + 1) + column] = w[(n + r) * w_stride + k + column];
    }
    __syncthreads();
    for (int r = first; r < kSide; r += kThreads / kSide) {
      out[(k + r) * out_stride + n + column] = tile[column * (kSide + 1) + r];
    }
    __syncthreads();
  }
}

template <class T>
cudaError_t transpose(CudaContext& context, const precis_transpose_packed_args& a) {
  static_assert(kCudaPackMultiple % kSide == 0);
  const CudaPackedLayout from = cuda_packed_layout(a.w.outputs, a.w.inputs, a.w.dtype);
  const CudaPackedLayout to = cuda_packed_layout(a.w.inputs, a.w.outputs, a.w.dtype);
  const int64_t across = from.stride / kSide, tiles = from.rows / kSide * across;
  return launch("transpose_packed", transpose_packed_kernel<T>, dim3(grid_size(tiles, 65535)),
                dim3(kThreads), 0, context.stream, static_cast<const T*>(a.w.data), from.stride,
                static_cast<T*>(const_cast<void*>(a.out.data)), to.stride, tiles, across);
}

}  // namespace

cudaError_t transpose_packed_cuda(CudaContext& context, const precis_transpose_packed_args& a) {
  context.after_kernel = false;  // what follows may read these weights early
  return a.w.dtype == PRECIS_BFLOAT16 ? transpose<uint16_t>(context, a)
                                      : transpose<uint32_t>(context, a);
}

}  // namespace precis
