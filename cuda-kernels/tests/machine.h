// Where the tests run: emulation/machine.cc or gpu/machine.cu.
#ifndef PRECIS_CUDA_TESTS_MACHINE_H_
#define PRECIS_CUDA_TESTS_MACHINE_H_

#include <string>

#include "cuda_context.h"

namespace precis {

// Fills in what the context tells of the device. False, and name says why, where there is none.
bool open_machine(CudaContext* context, std::string* name);

// Whether kernels of sm_90a run here.
bool has_wgmma();

// Lets threads run in the given order from now on, which name then tells. False where orders
// cannot be chosen; order 0 is then the only one.
bool choose_order(int order, std::string* name);

}  // namespace precis

#endif  // PRECIS_CUDA_TESTS_MACHINE_H_
