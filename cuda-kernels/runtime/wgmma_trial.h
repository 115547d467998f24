// Decides whether products use wgmma, the tensor core instruction of Hopper
// (lora_matmul_wgmma.cu).
//
// precis.h promises that a row of a result depends on its own row of x alone, not on the number of
// rows. wgmma is for many rows; few rows use the mma.sync kernel, which adds in the same order.
// The documentation does not say that the two round identically inside 16 elements of K. So each context runs
// both on the same numbers when it is created:
//   wgmma is wrong                   it is not used
//   bitwise identical to mma.sync    it is used for many rows
//   right, but rounds differently    in a context for training it is used for every number of rows,
//                                    in others not at all
#ifndef PRECIS_CUDA_WGMMA_TRIAL_H_
#define PRECIS_CUDA_WGMMA_TRIAL_H_

#include <string>

#include "cuda_context.h"

namespace precis {

// Sets context.wgmma and explains the decision in why. Synchronizes. The device does not recover
// from an error that this returns.
cudaError_t choose_wgmma(CudaContext& context, bool many_rows, std::string* why);

}  // namespace precis

#endif  // PRECIS_CUDA_WGMMA_TRIAL_H_
