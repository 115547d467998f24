#include "machine.h"

namespace precis {

bool open_machine(CudaContext* context, std::string* name) {
  context->multiprocessors = 3;
  context->block_shared_bytes = 227 << 10;  // of sm_90
  *name = "emulated";
  return true;
}

bool has_wgmma() { return true; }

bool choose_order(int order, std::string* name) {
  set_emulation_seed(static_cast<uint64_t>(order));
  *name = "emulated, order " + std::to_string(order);
  return true;
}

}  // namespace precis
