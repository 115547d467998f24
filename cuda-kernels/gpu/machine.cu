#include "machine.h"

namespace precis {

bool open_machine(CudaContext* context, std::string* name) {
  int count = 0;
  cudaDeviceProp properties;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) error = cudaGetDeviceProperties(&properties, 0);
  if (error != cudaSuccess || count == 0) {
    *name = error != cudaSuccess ? cudaGetErrorString(error) : "none is there";
    return false;
  }
  *name = properties.name;
  context->multiprocessors = properties.multiProcessorCount;
  context->block_shared_bytes = static_cast<int64_t>(properties.sharedMemPerBlockOptin);
  return true;
}

bool has_wgmma() {
  cudaDeviceProp properties;
  return cudaGetDeviceProperties(&properties, 0) == cudaSuccess && properties.major == 9 &&
         properties.minor == 0;
}

bool choose_order(int, std::string*) { return false; }

}  // namespace precis
