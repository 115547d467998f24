// The device that the tests run on: emulation/machine.cc or gpu/machine.cu.
#ifndef PRECIS_CUDA_TESTS_MACHINE_H_
#define PRECIS_CUDA_TESTS_MACHINE_H_

#include <string>

#include "cuda_context.h"

namespace precis {

// Fills in the context's properties of the device. Returns false, with the reason in name, if there is
// no device.
bool open_machine(CudaContext* context, std::string* name);

// Tells whether kernels for sm_90a run here.
bool has_wgmma();

// Makes threads run in the given order from now on and describes it in name. Returns false where the
// order cannot be chosen; then order 0 is the only one.
bool choose_order(int order, std::string* name);

}  // namespace precis

#endif  // PRECIS_CUDA_TESTS_MACHINE_H_
