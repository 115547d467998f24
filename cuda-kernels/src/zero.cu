// y[m, n] = 0                                                                 native/src/ops/zero.h
//
// cudaMemset2DAsync runs at the speed of memory.
#include "kernels.h"
#include "ops/zero.h"

namespace precis {

cudaError_t zero_cuda(CudaContext& context, const precis_zero_args& a) {
  const auto element = static_cast<size_t>(element_bytes(a.y.dtype));
  const auto width = static_cast<size_t>(columns(a.y)) * element;
  const auto height = static_cast<size_t>(rows(a.y));
  if (width == 0 || height == 0) return cudaSuccess;
  return fill_with_zeros(context, a.y.data, static_cast<size_t>(row_stride(a.y)) * element, width,
                         height);
}

}  // namespace precis
