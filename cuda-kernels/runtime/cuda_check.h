// Turns an error of the CUDA runtime into an Error.
#ifndef PRECIS_CUDA_CHECK_H_
#define PRECIS_CUDA_CHECK_H_

#include "error.h"
#include "launch.h"

namespace precis {

// Returns the advice that belongs to an error: after a fault of a kernel or of the GPU the driver
// gives the same error for every call, whatever the process does.
inline const char* cuda_advice(cudaError_t error) {
  switch (static_cast<int>(error)) {
    case 214:  // cudaErrorECCUncorrectable
    case 700:  // cudaErrorIllegalAddress
    case 702:  // cudaErrorLaunchTimeout
    case 710:  // cudaErrorAssert
    case 714:  // cudaErrorHardwareStackError
    case 715:  // cudaErrorIllegalInstruction
    case 716:  // cudaErrorMisalignedAddress
    case 717:  // cudaErrorInvalidAddressSpace
    case 718:  // cudaErrorInvalidPc
    case 719:  // cudaErrorLaunchFailure
      return "; this process cannot use the GPU any more: start it again";
    default:
      return "";
  }
}

inline void cuda_check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  (void)cudaGetLastError();  // clears an error that is not sticky
  fail(error == cudaErrorMemoryAllocation ? PRECIS_OUT_OF_MEMORY : PRECIS_DEVICE_ERROR, "%s: %s%s",
       what, cudaGetErrorString(error), cuda_advice(error));
}

}  // namespace precis

#endif  // PRECIS_CUDA_CHECK_H_
