// Elementwise kernels over several matrices in one launch: as for_elements of elements.cuh for each of
// them. The matrices fit into a kernel's arguments, and none reads what another one writes.
#ifndef PRECIS_CUDA_ELEMENT_GROUPS_CUH_
#define PRECIS_CUDA_ELEMENT_GROUPS_CUH_

#include "device.h"
#include "elements.cuh"
#include "grid_constant.cuh"

namespace precis {

constexpr int kGroupThreads = 256;

template <class F, int most>
struct ElementGroup {
  using Function = F;
  static constexpr int kMost = most;
  F f[most];
  int64_t rows[most], columns[most];
  int count = 0;

  void add(const F& function, int64_t m, int64_t n) {
    f[count] = function;
    rows[count] = m;
    columns[count] = n;
    count++;
  }
};

// The grid's y has a matrix each.
template <class Group>
__global__ void __launch_bounds__(kGroupThreads)
    element_group_kernel(const __grid_constant__ Group g) {
  const int i = static_cast<int>(blockIdx.y);
  const int64_t columns = g.columns[i], eights = (columns + kEight - 1) / kEight;
  const int64_t begin = int64_t{blockIdx.x} * kGroupThreads + thread();
  const int64_t end = g.rows[i] * eights, step = int64_t{gridDim.x} * kGroupThreads;
  using F = typename Group::Function;
  if constexpr (LoadsAhead<F>) {
    for (int64_t e = begin; e < end; e += F::kAhead * step) {
      typename F::Held held[F::kAhead];
      int64_t m[F::kAhead], n[F::kAhead];
      int count[F::kAhead];
#pragma unroll
      for (int j = 0; j < F::kAhead; j++) {
        m[j] = (e + j * step) / eights;
        n[j] = (e + j * step) % eights * kEight;
        count[j] = e + j * step < end ? up_to_eight(columns - n[j]) : 0;
        held[j] = g.f[i].load(m[j], n[j], count[j]);
      }
#pragma unroll
      for (int j = 0; j < F::kAhead; j++) {
        if (count[j] > 0) g.f[i](m[j], n[j], count[j], held[j]);
      }
    }
  } else {
    for (int64_t e = begin; e < end; e += step) {
      const int64_t n = e % eights * kEight;
      g.f[i](e / eights, n, up_to_eight(columns - n));
    }
  }
}

template <class Group>
static inline cudaError_t for_element_group(const char* name, cudaStream_t stream, const Group& g) {
  static_assert(sizeof(Group) <= 4096, "a kernel's arguments");
  int64_t most = 0;
  for (int i = 0; i < g.count; i++) {
    const int64_t eights = g.rows[i] * ceil_div(g.columns[i], kEight);
    most = most < eights ? eights : most;
  }
  if (most == 0) return cudaSuccess;
  const dim3 grid(
      grid_size(ceil_div(most, kGroupThreads * eights_ahead<typename Group::Function>()), 1024),
      static_cast<uint32_t>(g.count));
  return launch(name, element_group_kernel<Group>, grid, kGroupThreads, 0, stream, g);
}

}  // namespace precis

#endif  // PRECIS_CUDA_ELEMENT_GROUPS_CUH_
