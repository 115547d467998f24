// Gradients of several weights in one launch; see weight_gradient.cu.
#ifndef PRECIS_CUDA_WEIGHT_GRADIENT_CUH_
#define PRECIS_CUDA_WEIGHT_GRADIENT_CUH_

#include "element_dropout.cuh"
#include "kernels.h"

namespace precis {

// The gradients of one launch, which fit into a kernel's arguments.
constexpr int kMostGradients = 8;
constexpr int64_t kGradientTile = 64;
// The tiles of one launch whose finished blocks are counted.
constexpr int64_t kMostTiles = 32768;

static inline int64_t weight_gradient_tiles(const precis_weight_gradient_args& g) {
  return ceil_div(rows(g.dw), kGradientTile) * ceil_div(columns(g.dw), kGradientTile);
}

// Rows before dropout, and its mask.
struct DroppedRows {
  precis_tensor x;
  ElementDropout mask;
};

struct WeightGradients {
  precis_weight_gradient_args all[kMostGradients];
  bool drops[kMostGradients];  // x is the dropout below, which is computed on the way
  DroppedRows dropout;
  int count = 0;
  int64_t tiles = 0;

  // Adds a gradient; returns false where it is for another launch.
  bool add(const precis_weight_gradient_args& g, const DroppedRows* dropped);
};

// finished: kMostTiles zeros in device memory, which are zeros again afterwards. With nullptr they
// are made, which is one more launch.
cudaError_t weight_gradients(CudaContext& context, const WeightGradients& w, uint32_t* finished);

}  // namespace precis

#endif  // PRECIS_CUDA_WEIGHT_GRADIENT_CUH_
