// Whether products run on Hopper's own tensor cores (lora_matmul_wgmma.cu).
//
// A row of a result depends on its own row of x alone, as precis.h promises, however many rows
// there are. wgmma is for many rows; few go to a kernel of mma.sync, which adds up in the same
// order. Whether the two round alike inside sixteen of K, only the GPU can tell. So each context
// tries both on the same numbers when it is made: what is wrong is not used; what is right to the
// bit is used for many rows; what is right but rounds otherwise is used for every number of rows,
// in contexts for training, and not at all in others.
#ifndef PRECIS_CUDA_WGMMA_TRIAL_H_
#define PRECIS_CUDA_WGMMA_TRIAL_H_

#include <string>

#include "cuda_context.h"

namespace precis {

// Sets context.wgmma, and says in why what was found. Waits for the device. An error is one that
// the device does not recover from.
cudaError_t choose_wgmma(CudaContext& context, bool many_rows, std::string* why);

}  // namespace precis

#endif  // PRECIS_CUDA_WGMMA_TRIAL_H_
