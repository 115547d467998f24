// In place of cuda-kernels/runtime/backend.cu where there is no nvcc.
#include "backend.h"
#include "error.h"

namespace precis {

std::unique_ptr<Backend> make_cuda_backend(int, bool) {
  fail(PRECIS_UNSUPPORTED,
       "this build of libprecis has no CUDA in it: build it with -DPRECIS_CUDA=ON where nvcc is");
}

}  // namespace precis
