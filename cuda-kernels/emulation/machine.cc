#include "machine.h"

#include <cstdlib>

#include "device.h"

namespace precis {

bool open_machine(CudaContext* context, std::string* name) {
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, 0) != cudaSuccess) return false;
  context->multiprocessors = properties.multiProcessorCount;
  context->block_shared_bytes = static_cast<int64_t>(emulation::device().shared_bytes);
  *name = std::string("emulated ") + emulation::device().name;
  return true;
}

bool has_wgmma() { return emulation::device().major == 9; }

// The first two orders are by number, up and down, and the others are random. A test takes these two,
// unless PRECIS_EMULATION_ORDERS allows more.
bool choose_order(int order, std::string* name) {
  static const char* wish = std::getenv("PRECIS_EMULATION_ORDERS");
  if (order >= (wish != nullptr ? std::atoi(wish) : 2)) return false;
  set_emulation_seed(static_cast<uint64_t>(order));
  *name = std::string("emulated ") + emulation::device().name + ", order " + std::to_string(order);
  return true;
}

}  // namespace precis
