// cuBLASLt as the engine of plain products, loaded at run time: nothing links with it, and where it
// is missing our own kernel serves.
//
// It is looked for where the environment variable PRECIS_CUBLASLT says (the file or its folder;
// then nowhere else), then on the loader's path, then beside libprecis, as libcublasLt.so.13 or
// .12.
//
// A row of a result depends on its own row of x alone, as precis.h promises, on two conditions.
// First, a context either has cuBLASLt, and then all its products that cuBLASLt can do go there, or
// it does not: nothing is decided by the number of rows. That suits training and evaluation, with
// whole sequences; a context for generation, whose products have a row or a hundred, is better off
// without, because, second, the algorithm is chosen once for each weight shape and for kTypicalRows
// rows, and used for any number of rows. Algorithms that split K over blocks are left out, so that
// an element is one sum along K in the order that its tile has.
#ifndef PRECIS_CUDA_CUBLASLT_H_
#define PRECIS_CUDA_CUBLASLT_H_

#include <memory>
#include <string>

#include "cuda_context.h"

namespace precis {

class CublasLt {
 public:
  static constexpr int64_t kTypicalRows = 2048;
  static constexpr size_t kWorkspaceBytes = size_t{32} << 20;

  // For the device that is current. nullptr, and a sentence why, where there is none; so under
  // emulation.
  static std::unique_ptr<CublasLt> find(std::string* why);
  // The same without asking what the kernels run on.
  static std::unique_ptr<CublasLt> search(std::string* why);
  ~CublasLt();
  CublasLt(const CublasLt&) = delete;

  const char* version() const;  // as "13.1.0"
  const char* path() const;

  // Starts precis_matmul on the context's stream. *done says whether: where types or alignment do
  // not suit, or cuBLASLt has no algorithm, nothing happened. Nothing is searched for when a weight
  // of this shape was used before.
  cudaError_t multiply(CudaContext& context, const precis_matmul_args& a, bool* done);

 private:
  struct State;
  explicit CublasLt(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace precis

#endif  // PRECIS_CUDA_CUBLASLT_H_
