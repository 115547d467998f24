// y = x between float32 and bfloat16                                       native/src/ops/convert.h
//
// NaN stays NaN, but its payload may change; the CPU's kernel keeps it.
#include "element_groups.cuh"
#include "elements.cuh"
#include "fused_ops.h"
#include "kernels.h"
#include "ops/convert.h"

namespace precis {
namespace {

struct Convert {
  AnyMatrix x, y;

  static constexpr int kAhead = 4;
  using Held = AnyEight;
  __device__ __forceinline__ Held load(int64_t m, int64_t n, int count) const {
    return x.raw(m, n, count);
  }
  __device__ __forceinline__ void operator()(int64_t m, int64_t n, int count,
                                             const Held& held) const {
    float v[kEight];
    held.convert(v);
    y.save(m, n, count, v);
  }
};

}  // namespace

cudaError_t convert_cuda(CudaContext& context, const precis_convert_args& a) {
  const Convert f = {any_matrix(a.x), any_matrix(a.y)};
  return for_elements("convert", context.stream, rows(a.y), columns(a.y), f);
}

cudaError_t converts(CudaContext& context, const precis_convert_args* all, int count) {
  if (count == 1) return convert_cuda(context, all[0]);
  ElementGroup<Convert, kMostConverts> group;
  for (int i = 0; i < count; i++) {
    group.add({any_matrix(all[i].x), any_matrix(all[i].y)}, rows(all[i].y), columns(all[i].y));
  }
  return for_element_group("convert, several", context.stream, group);
}

}  // namespace precis
