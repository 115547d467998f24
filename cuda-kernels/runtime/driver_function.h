// Functions of the driver, which are looked up at run time: nothing links with the driver.
#ifndef PRECIS_CUDA_DRIVER_FUNCTION_H_
#define PRECIS_CUDA_DRIVER_FUNCTION_H_

#include <cuda.h>  // for types alone
#include <cuda_runtime.h>

namespace precis {

// Returns the function as the version of CUDA, such as 12000, has it, or nullptr if the driver has
// none.
template <class F>
F driver_function(const char* name, [[maybe_unused]] int version) {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION >= 12050
  const cudaError_t error = cudaGetDriverEntryPointByVersion(
      name, &found, static_cast<unsigned>(version), cudaEnableDefault, &result);
#else
  const cudaError_t error = cudaGetDriverEntryPoint(name, &found, cudaEnableDefault, &result);
#endif
  if (error != cudaSuccess || result != cudaDriverEntryPointSuccess) found = nullptr;
  return reinterpret_cast<F>(found);
}

}  // namespace precis

#endif  // PRECIS_CUDA_DRIVER_FUNCTION_H_
