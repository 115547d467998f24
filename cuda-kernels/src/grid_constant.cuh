// __grid_constant__, the annotation of a kernel's large argument that is read where it lies rather
// than copied, for the emulator.
#ifndef PRECIS_CUDA_GRID_CONSTANT_CUH_
#define PRECIS_CUDA_GRID_CONSTANT_CUH_

#if !defined(__CUDACC__)
#include "hopper.h"
#endif

#endif  // PRECIS_CUDA_GRID_CONSTANT_CUH_
