// Elementwise kernels: f(m, n, count) is called for every eight elements of each row of a matrix,
// and for the rest of fewer at its end. 32 lanes have 256 columns, a block has 8 rows.
//
// An f with a type Held is called with what is held: a thread first asks for what F::kAhead eights
// need, by f.load(m, n, count), and then calls f(m, n, count, held) for each of them, so that at least
// four loads of 16 bytes are in flight.
#ifndef PRECIS_CUDA_ELEMENTS_CUH_
#define PRECIS_CUDA_ELEMENTS_CUH_

#include <type_traits>

#include "device.h"

namespace precis {

template <class F>
concept LoadsAhead = requires {
  typename F::Held;
};

// The number of eights that a thread loads before it uses the first.
template <class F>
PRECIS_HOST_DEVICE constexpr int eights_ahead() {
  if constexpr (LoadsAhead<F>) {
    return F::kAhead;
  } else {
    return 1;
  }
}

template <class F>
__global__ void __launch_bounds__(256) elements_kernel(F f, int64_t rows, int64_t columns) {
  const int64_t row_step = int64_t{gridDim.y} * blockDim.y;
  for (int64_t m = int64_t{blockIdx.y} * blockDim.y + threadIdx.y; m < rows; m += row_step) {
    const int64_t step = int64_t{gridDim.x} * blockDim.x * kEight;
    const int64_t begin = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kEight;
    if constexpr (LoadsAhead<F>) {
      for_eights<F::kAhead>(
          begin, columns, step, [&](int64_t n, int count) { return f.load(m, n, count); },
          [&](int64_t n, int count, const typename F::Held& held) { f(m, n, count, held); });
    } else {
      for (int64_t n = begin; n < columns; n += step) f(m, n, up_to_eight(columns - n));
    }
  }
}

template <class F>
static inline cudaError_t for_elements(const char* name, cudaStream_t stream, int64_t rows,
                                       int64_t columns, const F& f) {
  if (rows == 0 || columns == 0) return cudaSuccess;
  // With few rows, the columns are spread over the grid's x.
  const dim3 block = rows < 8 ? dim3(256, 1) : dim3(32, 8);
  const dim3 grid(grid_size(ceil_div(columns, block.x * kEight * eights_ahead<F>()), 4096),
                  grid_size(ceil_div(rows, block.y), kMaxGridY));
  return launch(name, elements_kernel<F>, grid, block, 0, stream, f, rows, columns);
}

}  // namespace precis

#endif  // PRECIS_CUDA_ELEMENTS_CUH_
