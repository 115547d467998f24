// cuBLASLt for matmul, loaded at run time: nothing links with it, and where it is missing our own
// kernels are used.
//
// If the environment variable PRECIS_CUBLASLT names the library or its folder, only that is tried.
// Otherwise libcublasLt.so.13 or .12 is searched for on the loader's path and then beside
// libprecis.
//
// precis.h promises that a row of a result depends on its own row of x alone. That holds on two
// conditions. First, a context either has cuBLASLt, and then all products that cuBLASLt can compute
// go there, or it has not: the number of rows decides nothing. Second, the algorithm is chosen once
// for each weight shape, for kTypicalRows rows, and used for any number of rows. This suits
// training and evaluation of whole sequences; a context for generation, whose products have from
// one to a hundred rows, is faster without cuBLASLt. Algorithms that split K over blocks (split-K)
// are not used, so an element is one sum along K in the order of its tile.
#ifndef PRECIS_CUDA_CUBLASLT_H_
#define PRECIS_CUDA_CUBLASLT_H_

#include <memory>
#include <string>

#include "cuda_context.h"
#include "precis.h"

namespace precis {

class CublasLt {
 public:
  static constexpr int64_t kTypicalRows = 2048;
  static constexpr size_t kWorkspaceBytes = size_t{32} << 20;

  // Loads cuBLASLt for the current device. Returns nullptr, and the reason in why, where that is
  // impossible, as under emulation.
  static std::unique_ptr<CublasLt> find(std::string* why);
  // The same, also under emulation.
  static std::unique_ptr<CublasLt> search(std::string* why);
  ~CublasLt();
  CublasLt(const CublasLt&) = delete;

  const char* version() const;  // for example "13.1.0"
  const char* path() const;

  // Starts precis_matmul on the context's stream and sets *done. It does nothing, and *done is
  // false, where types or alignment do not suit or cuBLASLt has no algorithm. The algorithm is
  // chosen at the first product with a weight of this shape.
  cudaError_t multiply(CudaContext& context, const precis_matmul_args& a, bool* done);

 private:
  struct State;
  explicit CublasLt(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace precis

#endif  // PRECIS_CUDA_CUBLASLT_H_
