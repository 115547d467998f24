// Turns an error of the CUDA runtime into an Error.
#ifndef PRECIS_CUDA_CHECK_H_
#define PRECIS_CUDA_CHECK_H_

#include "error.h"
#include "launch.h"

namespace precis {

inline void cuda_check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  (void)cudaGetLastError();  // clears an error that is not sticky
  fail(error == cudaErrorMemoryAllocation ? PRECIS_OUT_OF_MEMORY : PRECIS_DEVICE_ERROR, "%s: %s",
       what, cudaGetErrorString(error));
}

}  // namespace precis

#endif  // PRECIS_CUDA_CHECK_H_
